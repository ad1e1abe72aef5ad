-- use: workers tasks
-- ARGV: by, rows "id, token, fail, reason (JSON)", result ttl
local by, ttl = ARGV[2], ARGV[4]
probe_tasks()
local items = {}
for id, token, fail, reason in string.gmatch(ARGV[3], '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = detail(id)
  local item = { row = row, fail = fail == '1', reason = reason, outcome = 'STALE' }
  if row and row.status == 'running' and token_of(row) == token then
    item.outcome = 'OK'
    call('SCARD', LEASES .. row.worker_id)
    probe_end(id)
    probe_note(id, reason)
  end
  push(items, item)
end
begin()
local function release(item)
  local row = item.row
  local id, worker_id = row.id, row.worker_id
  call('ZREM', LEASE, id)
  call('SREM', LEASES .. worker_id, id)
  add_load('r:', worker_id, -1)
  row.claim = nil
  local status, text = 'pending', plain(item.reason)
  if row.cancel_requested then
    status, text = 'cancelled', cancel_reason(row)
  elseif item.fail then
    status, text = 'failed', 'released'
  end
  set_reason(row, text)
  if status == 'pending' then
    row.status, row.worker_id = status, nil
    write_row(row)
    make_ready(row)
  else
    finish(row, status, ttl)
  end
  note('released', by, '{"task":"' .. id .. '","status":"' .. status .. '","reason":'
    .. quoted(text) .. '}')
end
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    release(item)
  end
end
if call('ZCARD', READY) > 0 then
  ring('leader')
end
return done('OK', table.concat(outcomes, ' '))
