-- use: workers tasks attempts
-- ARGV: by, rows "id, token, fail, reason (JSON)", result ttl
local by, ttl = ARGV[2], ARGV[4]
probe_tasks()
local ids, items = {}, {}
for id, token, fail, reason in string.gmatch(ARGV[3], '(%C*)\t(%C*)\t(%C*)\t(%C*)\n') do
  push(ids, id)
  push(items, { token = token, fail = fail == '1', reason = reason, row = false, outcome = 'STALE' })
end
for i, row in ipairs(rows_of(ids)) do
  local item = items[i]
  item.row = row
  if row and row.status == 'running' and token_of(row) == item.token then
    item.outcome = 'OK'
    call('SCARD', LEASES .. row.worker_id)
    if item.fail or row.cancel_requested then
      probe_end(row.id)
    else
      call('HLEN', NOTE .. row.id)
    end
    probe_note(row.id, item.reason)
  end
end
begin()
local freed, back = {}, {}
local function release(item)
  local row = item.row
  free_lease(freed, row)
  give_back(row.id)
  row.claim = nil
  local status, text = 'pending', plain(item.reason)
  if row.cancel_requested then
    status, text = 'cancelled', cancel_reason(row)
  elseif item.fail then
    status, text = 'failed', 'released'
  end
  set_reason(row, text)
  if status == 'pending' then
    remember_attempt(row, 'released', '""', '""')
    row.status, row.worker_id = status, nil
    push(back, row)
  else
    finish(row, status, ttl)
  end
  note('released', by, '{"task":"' .. row.id .. '","status":"' .. status .. '","reason":'
    .. quoted(text) .. '}')
end
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    release(item)
  end
end
remove_leases(freed)
put_back(back)
if runnable() then
  wake('leader')
end
return done('OK', table.concat(outcomes, ' '))
