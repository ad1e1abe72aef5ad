-- use: workers tasks requeue
-- ARGV: worker, incarnation, capacity, backlog, timeout, head, max_workers
local id, incarnation, timeout, head = ARGV[2], ARGV[3], ARGV[6], ARGV[7]
probe_workers()
probe_tasks()
call('HLEN', LANES .. id)
call('SCARD', LEASES .. id)
local old = worker_of(id)
local same = old and old.incarnation == incarnation
local rows = {}
if not old and call('HLEN', WORKERS) >= tonumber(ARGV[8]) then
  begin()
  return done('CROWDED')
end
if old and not same then
  if not may_replace(old, incarnation) then
    begin()
    return done('SUPERSEDED')
  end
  rows = queue_rows(id)
end
begin()
if old and not same then
  requeue_all(rows, id, id)
  -- As many as it ran: the capacity bounds it; 100 at a time bounds each command.
  local running = call('SMEMBERS', LEASES .. id)
  for first = 1, #running, 100 do
    local over = {}
    for i = first, math.min(first + 99, #running) do
      push(over, now_text, running[i])
    end
    call('ZADD', LEASE, 'XX', unpack(over))
  end
  note('worker', id, '{"worker":"' .. id .. '","act":"superseded"}')
end
if not same then
  call('DEL', LANES .. id)
  call('SREM', DRAINING, id, '!' .. id)
  call('SREM', STALLED, id)
end
call('HSET', WORKERS, id,
  incarnation .. '\n' .. ARGV[4] .. '\n' .. ARGV[5] .. '\n' .. timeout .. '\n' .. head)
call('ZADD', BEATS, now_text, id)
publish(worker_of(id))
note('worker', id, '{"worker":"' .. id .. '","act":"registered"}')
return done('OK')
