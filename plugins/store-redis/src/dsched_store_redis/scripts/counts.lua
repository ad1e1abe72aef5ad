-- use: tasks
local oldest
for rank = 0, 9 do
  local low, high = rank * 1e13 - 1e12, (rank + 1) * 1e13 - 1e12
  local found = call('ZRANGEBYSCORE', READY, int(low), '(' .. int(high), 'WITHSCORES',
    'LIMIT', 0, 1)
  if found[2] then
    local scheduled = tonumber(found[2]) - rank * 1e13
    oldest = oldest and math.min(oldest, scheduled) or scheduled
  end
end
local retrying = tonumber(call('HGET', META, 'retrying') or '0')
local nobody = tonumber(call('HGET', META, 'nobody') or '0')
local sizes, queued = {}, 0
local loads = call('HGETALL', P .. 'worker:load')
for i = 1, #loads, 2 do
  if string.sub(loads[i], 1, 2) == 'q:' then
    queued = queued + tonumber(loads[i + 1])
  end
end
for i, name in ipairs({ 'task:ready', 'task:delayed', 'task:held',
  'finished:status:success', 'finished:status:failed', 'finished:status:cancelled',
  'config:index', 'run:open' }) do
  sizes[i] = call('ZCARD', P .. name)
end
local leases = call('ZCOUNT', LEASE, '-inf', '(+inf')
begin()
return done('OK', time_row(), sizes, leases, queued, retrying, oldest and int(oldest) or '',
  nobody)
