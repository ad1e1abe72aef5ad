-- use: workers tasks queues rows
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
-- The workers that may have a queue: the registered ones, and those in the load.
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

-- Within a priority the first that is younger ends it: the next one's may be older.
local function old_of(worker_id)
  local size, at = call('LLEN', QUEUE .. worker_id), 0
  while at < size and left > 0 do
    local young
    for _, id in ipairs(call('LRANGE', QUEUE .. worker_id, at, at + left - 1)) do
      local row = detail(id)
      local queued_ms = tonumber(row and row.since or '0')
      if queued_ms > since then
        young = row
        break
      end
      push(queued, id, worker_id, int(now - queued_ms), call('HGET', ROUTE, id) or '')
      left, at = left - 1, at + 1
    end
    if young then
      at = math.max(at + 1, before(worker_id, size, priority_of(young)))
    end
  end
end
for worker_id in pairs(with_queue) do
  old_of(worker_id)
end
begin()
return done('OK', time_row(), leases, queued, workers)
