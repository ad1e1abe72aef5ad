-- use: tasks classes
-- ARGV: after which text (or ''), limit
probe_tasks()
probe_classes()
local rows = {}
local texts = {}
if has_classes then
  local first = ARGV[2] == '' and '-' or '(' .. ARGV[2]
  texts = call('ZRANGEBYLEX', SHUT_INDEX, first, '+', 'LIMIT', 0, tonumber(ARGV[3]) + 1)
end
for i = 1, math.min(#texts, tonumber(ARGV[3])) do
  local n, blocked, since = string.match(call('HGET', SHUT, texts[i]), '^(%d+) (%a+) (%-?%d+)$')
  local waiting, oldest = call('ZCARD', UNDER .. n), nil
  for rank = 0, waiting > 0 and 9 or -1 do
    local low, high = rank * 1e13 - 1e12, (rank + 1) * 1e13 - 1e12
    local found = call('ZRANGEBYSCORE', UNDER .. n, int(low), '(' .. int(high), 'WITHSCORES',
      'LIMIT', 0, 1)
    if found[2] then
      local scheduled = tonumber(found[2]) - rank * 1e13
      oldest = oldest and math.min(oldest, scheduled) or scheduled
    end
  end
  push(rows, { texts[i], blocked, since, waiting, oldest and int(oldest) or '' })
end
begin()
return done('OK', rows, #texts > tonumber(ARGV[3]) and 1 or 0)
