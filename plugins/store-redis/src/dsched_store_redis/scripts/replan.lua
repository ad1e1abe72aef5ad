-- use: tasks configs
-- ARGV: fence, rows "id, revision, due, next_due, last_fired"
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_configs()
local items = {}
for id, revision, due, next_due, last in
  string.gmatch(ARGV[3], '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = config_of(id)
  local outcome = 'OK'
  if not row or row.paused or row.revision ~= revision then
    outcome = 'REVISED'
  elseif (row.due and int(tonumber(row.due)) or '') ~= due then
    outcome = 'MOVED'
  end
  push(items, { id = id, row = row, outcome = outcome, next_due = next_due, last = last })
end
begin()
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    if item.last == '' then
      call('HDEL', CONFIG .. item.id, 'last_fired')
    else
      call('HSET', CONFIG .. item.id, 'last_fired', item.last)
    end
    unpark(item.row)
    set_due_and_wake(item.id, item.next_due)
  end
end
return done('OK', table.concat(outcomes, ' '))
