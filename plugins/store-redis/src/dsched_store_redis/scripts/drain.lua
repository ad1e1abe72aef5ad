-- use: workers tasks requeue
-- ARGV: worker, incarnation, 1 if any incarnation is meant
local id = ARGV[2]
probe_workers()
probe_tasks()
local worker = worker_of(id)
local outcome = worker and 'OK' or 'NO_WORKER'
if worker and ARGV[4] == '0' then
  outcome = check_incarnation(worker, ARGV[3])
end
local rows = outcome == 'OK' and queue_rows(id) or {}
local draining = call('SISMEMBER', DRAINING, id) == 1
if outcome == 'OK' and draining and #rows == 0 then
  outcome = 'ALREADY'
end
begin()
-- A worker that drains by itself leaves: no operator can undo that.
if ARGV[4] == '0' and (outcome == 'OK' or outcome == 'ALREADY') then
  call('SADD', DRAINING, '!' .. id)
end
if outcome ~= 'OK' then
  return done(outcome)
end
if not draining then
  call('SADD', DRAINING, id)
  note('worker', id, '{"worker":"' .. id .. '","act":"draining"}')
  wake(id)
end
requeue_all(rows, id, id)
publish(worker)
return done('OK')
