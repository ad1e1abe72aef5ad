-- use: workers tasks
-- ARGV: worker, by
local id = ARGV[2]
probe_workers()
probe_tasks()
local worker = worker_of(id)
local outcome = 'OK'
if not worker then
  outcome = 'NO_WORKER'
elseif call('SISMEMBER', DRAINING, id) == 0 then
  outcome = 'ALREADY'
elseif call('SISMEMBER', DRAINING, '!' .. id) == 1 then
  outcome = 'DRAINING'
end
begin()
if outcome ~= 'OK' then
  return done(outcome)
end
call('SREM', DRAINING, id)
publish(worker)
note('worker', ARGV[3], '{"worker":"' .. id .. '","act":"undrained"}')
if call('ZCARD', READY) > 0 then
  wake('leader')
end
return done('OK')
