-- use: workers tasks requeue
-- ARGV: fence, "id id id", least age
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_workers()
probe_tasks()
local items = {}
for id in string.gmatch(ARGV[3], '[^ ]+') do
  local row = detail(id)
  local item = { id = id, row = row, outcome = 'STALE' }
  if row and is_queued(row) and now - tonumber(row.since) >= tonumber(ARGV[4]) then
    item.outcome = 'OK'
    call('LLEN', QUEUE .. row.worker_id)
  end
  push(items, item)
end
begin()
local outcomes, back = {}, {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    local worker_id = item.row.worker_id
    local worker = worker_of(worker_id)
    local stalls = worker and not worker.gone and load_of('r:', worker_id) < worker.capacity
    if stalls then
      call('SADD', STALLED, worker_id)
    end
    call('LREM', QUEUE .. worker_id, 1, item.id)
    add_load('q:', worker_id, -1)
    recall_row(item.row, ARGV[2], stalls)
    push(back, item.row)
  end
end
put_back(back)
return done('OK', table.concat(outcomes, ' '))
