-- ARGV: fence, after, upto, decisions "config, first, at, key, record", finished "id, status, end"
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe('ZCARD', 'decision:index', 'finished:status:success', 'finished:status:failed',
  'finished:status:cancelled')
local decisions, finished = {}, {}
for config_id, first_ms, at_ms, key, record in string.gmatch(ARGV[5],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*\t[^\t]*)\t([^\n]*)\n') do
  call('ZCARD', P .. 'decision:' .. config_id)
  push(decisions, { config_id, first_ms, at_ms, key, record })
end
for id, status, end_ms in string.gmatch(ARGV[6], '([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local config_id = string.match(id, '^([^@]*)@')
  if config_id then
    call('ZCARD', P .. 'finished:config:' .. config_id)
  end
  push(finished, { id, status, end_ms, config_id })
end
begin()
if (call('HGET', META, 'cursor') or '0-0') ~= ARGV[3] then
  return done('MOVED')
end
for _, item in ipairs(decisions) do
  local config_id, first_ms, at_ms, key, record = unpack(item)
  local kept = P .. 'decision:' .. config_id
  local known = false
  for _, other in ipairs(call('ZRANGEBYSCORE', kept, first_ms, first_ms)) do
    known = known or string.sub(other, 1, #key + 1) == key .. '\t'
  end
  if not known then
    call('ZADD', kept, first_ms, key .. '\t' .. record)
    call('ZADD', P .. 'decision:index', at_ms, config_id .. '\t' .. first_ms .. '\t' .. key)
  end
end
local by_status = {}
for _, item in ipairs(finished) do
  local id, status, end_ms, config_id = unpack(item)
  by_status[status] = by_status[status] or {}
  push(by_status[status], end_ms, id)
  if config_id then
    call('ZADD', P .. 'finished:config:' .. config_id, 'NX', end_ms, id)
  end
end
for status, members in pairs(by_status) do
  for at = 1, #members, 200 do
    call('ZADD', P .. 'finished:status:' .. status, 'NX',
      unpack(members, at, math.min(at + 199, #members)))
  end
end
call('HSET', META, 'cursor', ARGV[4])
return done('OK')
