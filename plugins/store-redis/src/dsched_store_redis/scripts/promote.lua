-- use: tasks
-- ARGV: fence, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_tasks()
local ids = call('ZRANGEBYSCORE', DELAYED, '-inf', now_text, 'LIMIT', 0, ARGV[3])
local rows, scores = {}, {}
for i, id in ipairs(ids) do
  local row = detail(id)
  rows[i] = row
  push(scores, ready_score(row), id)
end
begin()
if #ids > 0 then
  call('ZREM', DELAYED, unpack(ids))
  call('ZADD', READY, unpack(scores))
  ring('leader')
end
for _, row in ipairs(rows) do
  if row.status == 'retrying' then
    call('HSET', DETAIL .. row.id, 'status', 'pending')
    add_retrying(-1)
  end
end
local later = call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
local next_in = later[2] and int(math.max(0, tonumber(later[2]) - now)) or ''
return done('OK', #ids, next_in)
