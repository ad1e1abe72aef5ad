-- use: workers tasks limits
-- ARGV: name, id, the last place that is told
local line, id, most = LIMIT .. 'tasks:' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local score = call('ZSCORE', line, id)
local place = ''
if score then
  place = call('ZCOUNT', line, '-inf', '(' .. score) + 1
  -- Those at the same priority and instant go by their ids.
  local alike = place < most and call('ZRANGEBYSCORE', line, score, score, 'LIMIT', 0, most) or {}
  for i = 1, #alike do
    if alike[i] == id then
      break
    end
    place = place + 1
  end
  place = int(math.min(place, most))
end
begin()
return done('OK', place)
