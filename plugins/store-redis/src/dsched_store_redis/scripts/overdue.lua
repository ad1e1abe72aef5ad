-- use: workers tasks rows
-- ARGV: fence, limit, least queue age
local refused = fenced(ARGV[2])
if refused then
  return refused
end
local limit, since = ARGV[3], now - tonumber(ARGV[4])
local leases = {}
for i, id in ipairs(call('ZRANGEBYSCORE', LEASE, '-inf', now_text, 'LIMIT', 0, limit)) do
  leases[i] = task_row(id, '', false, true)
end
local workers = all_workers()
-- Whoever may have a queue: the registered, and whom the load knows of.
local with_queue = {}
for i = 1, #workers[1], 2 do
  with_queue[workers[1][i]] = true
end
for i = 1, #workers[3], 2 do
  local worker_id = string.match(workers[3][i], '^q:(.*)$')
  if worker_id then
    with_queue[worker_id] = true
  end
end
local queued, left = {}, tonumber(limit)
for worker_id in pairs(with_queue) do
  -- A queue is in the order of dispatch: the first that is younger ends it.
  for _, id in ipairs(left > 0 and call('LRANGE', QUEUE .. worker_id, 0, left - 1) or {}) do
    local row = detail(id)
    local at = tonumber(row and row.since or '0')
    if at > since then
      break
    end
    push(queued, id, worker_id, int(now - at), call('HGET', ROUTE, id) or '')
    left = left - 1
  end
end
begin()
return done('OK', time_row(), leases, queued, workers)
