-- use: workers tasks
-- ARGV: worker, incarnation, default lease, "id\ttoken\n"...
local id, held = ARGV[2], ARGV[5]
probe_workers()
probe('ZCARD', 'task:lease')
local worker = worker_of(id)
local outcome = check_incarnation(worker, ARGV[3])
local renew, lost, cancel = {}, {}, {}
local until_ms = int(now + (worker and worker.timeout or tonumber(ARGV[4])))
for task_id, token in string.gmatch(held, '([^\t]*)\t([^\n]*)\n') do
  local row = outcome ~= 'SUPERSEDED' and detail(task_id)
  if row and row.status == 'running' and token_of(row) == token then
    push(renew, until_ms, task_id)
    if row.cancel_requested then
      push(cancel, task_id)
    end
  else
    push(lost, task_id)
  end
end
begin()
if #renew > 0 then
  call('ZADD', LEASE, 'XX', unpack(renew))
end
local draining, capacity = 0, ''
if outcome == 'OK' then
  if worker.gone then
    wake('leader')
  end
  call('ZADD', BEATS, now_text, id)
  publish(worker)
  draining = call('SISMEMBER', DRAINING, id)
  capacity = int(worker.capacity)
end
return done(outcome, table.concat(lost, ' '), table.concat(cancel, ' '), draining,
  capacity)
