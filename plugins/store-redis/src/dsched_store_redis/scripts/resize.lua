-- use: workers
-- ARGV: worker, capacity, by
local id, capacity = ARGV[2], ARGV[3]
probe_workers()
local worker = worker_of(id)
local outcome = 'OK'
if not worker then
  outcome = 'NO_WORKER'
elseif worker.capacity == tonumber(capacity) then
  outcome = 'ALREADY'
end
begin()
if outcome ~= 'OK' then
  return done(outcome)
end
-- Of what was registered the second line is the capacity; readers find it in the head as well.
local text = string.gsub(call('HGET', WORKERS, id), '^([^\n]*)\n%d+\n', '%1\n' .. capacity .. '\n')
text = string.gsub(text, ',"capacity":%d+,"id":', ',"capacity":' .. capacity .. ',"id":', 1)
call('HSET', WORKERS, id, text)
publish(worker_of(id))
note('worker', ARGV[4], '{"worker":"' .. id .. '","act":"resized","capacity":' .. capacity .. '}')
wake(id)
wake('leader')
return done('OK')
