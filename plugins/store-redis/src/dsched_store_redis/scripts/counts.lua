-- use: tasks oldest
local oldest = oldest_in(READY)
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
return done('OK', time_row(), sizes, leases, queued, retrying, oldest,
  nobody)
