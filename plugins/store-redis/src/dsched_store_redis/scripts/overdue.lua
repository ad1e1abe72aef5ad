-- use: workers tasks rows
-- ARGV: fence, limit, least queue age
local refused = fenced(ARGV[2])
if refused then
  return refused
end
local limit = ARGV[3]
local leases = {}
for i, id in ipairs(call('ZRANGEBYSCORE', LEASE, '-inf', now_text, 'LIMIT', 0, limit)) do
  leases[i] = task_row(id, '', false, true)
end
local found = call('ZRANGEBYSCORE', QUEUED, '-inf', int(now - tonumber(ARGV[4])), 'WITHSCORES',
  'LIMIT', 0, limit)
local queued = {}
for i = 1, #found, 2 do
  local id = found[i]
  push(queued, id, call('HGET', DETAIL .. id, 'worker_id') or '',
    int(now - tonumber(found[i + 1])), call('HGET', ROUTE, id) or '')
end
local workers = all_workers()
begin()
return done('OK', time_row(), leases, queued, workers)
