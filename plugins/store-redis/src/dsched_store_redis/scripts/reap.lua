-- use: workers tasks
-- ARGV: fence, rows "id, token, delay, fail reason (JSON), error (JSON)", result ttl
local fence, ttl = ARGV[2], ARGV[4]
local refused = fenced(fence)
if refused then
  return refused
end
probe_tasks()
local items = {}
for id, token, delay, fail, err in
  string.gmatch(ARGV[3], '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = detail(id)
  local over = tonumber(call('ZSCORE', LEASE, id) or '')
  local item = { row = row, delay = tonumber(delay), fail = fail, error = err, outcome = 'STALE' }
  if row and row.status == 'running' and token_of(row) == token and over and over <= now then
    item.outcome = 'OK'
    call('SCARD', LEASES .. row.worker_id)
    probe_end(id)
    probe_note(id, fail, err)
  end
  push(items, item)
end
begin()
local function reap(item)
  local row = item.row
  local id, worker_id = row.id, row.worker_id
  local crashes = int(tonumber(row.crash_count or '0') + 1)
  row.crash_count, row.claim = crashes, nil
  local reason, extra, status = nil, '', nil
  call('ZREM', LEASE, id)
  call('SREM', LEASES .. worker_id, id)
  add_load('r:', worker_id, -1)
  if item.error ~= '""' then
    set_error(row, item.error)
  end
  if row.cancel_requested or item.fail ~= '' then
    local text = row.cancel_requested and cancel_reason(row) or plain(item.fail)
    extra = ',"reason":' .. quoted(text)
    status = row.cancel_requested and 'cancelled' or 'failed'
    set_reason(row, text)
    finish(row, status, ttl)
  else
    status = item.delay > 0 and 'retrying' or 'pending'
    set_reason(row, 'crashed')
    row.status, row.worker_id = status, nil
    write_row(row)
    if item.delay > 0 then
      extra = ',"delay":' .. int(item.delay)
      call('ZADD', DELAYED, int(now + item.delay), id)
      add_retrying(1)
      ring('leader')
    else
      make_ready(row)
    end
  end
  note('reaped', fence, '{"task":"' .. id .. '","status":"' .. status .. '","crashes":' .. crashes
    .. ',"worker":"' .. worker_id .. '"' .. extra .. '}')
end
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    reap(item)
  end
end
if call('ZCARD', READY) > 0 then
  ring('leader')
end
return done('OK', table.concat(outcomes, ' '))
