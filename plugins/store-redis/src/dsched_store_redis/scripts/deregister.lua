-- use: workers tasks requeue
-- ARGV: worker, incarnation
local id = ARGV[2]
probe_workers()
probe_tasks()
local outcome = check_incarnation(worker_of(id), ARGV[3])
if outcome ~= 'OK' then
  begin()
  return done(outcome)
end
local rows = queue_rows(id)
begin()
requeue_all(rows, id, id)
call('HDEL', WORKERS, id)
call('ZREM', BEATS, id)
call('SREM', DRAINING, id, '!' .. id)
call('SREM', STALLED, id)
call('DEL', LANES .. id, POOL .. id, P .. 'bell:' .. id)
note('worker', id, '{"worker":"' .. id .. '","act":"deregistered"}')
return done('OK')
