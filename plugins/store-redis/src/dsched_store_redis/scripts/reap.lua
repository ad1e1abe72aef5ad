-- use: workers tasks attempts
-- ARGV: fence, rows "id, token, delay and error to keep, fail reason (JSON), error (JSON)", result ttl
local fence, ttl = ARGV[2], ARGV[4]
local refused = fenced(fence)
if refused then
  return refused
end
probe_tasks()
local ids, items = {}, {}
for id, token, delay, fail, err in
  string.gmatch(ARGV[3], '(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)\n') do
  push(ids, id)
  local wait, brief = delay_and_error(delay)
  push(items, { token = token, delay = wait, brief = brief, fail = fail, error = err, row = false,
    outcome = 'STALE' })
end
for i, row in ipairs(rows_of(ids)) do
  local item = items[i]
  local over = tonumber(call('ZSCORE', LEASE, ids[i]) or '')
  item.row = row
  if row and row.status == 'running' and token_of(row) == item.token and over and over <= now then
    item.outcome = 'OK'
    call('SCARD', LEASES .. row.worker_id)
    if item.fail ~= '' or row.cancel_requested then
      probe_end(row.id)
    else
      call('HLEN', NOTE .. row.id)
    end
    probe_note(row.id, item.fail, item.error)
  end
end
begin()
local freed, back = {}, {}
local function reap(item)
  local row = item.row
  local id, worker_id = row.id, row.worker_id
  local crashes = int(tonumber(row.crash_count or '0') + 1)
  row.crash_count, row.claim = crashes, nil
  local extra, status = '', nil
  free_lease(freed, row)
  give_back(id)
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
    remember_attempt(row, 'crashed', '""', item.brief)
    row.status, row.worker_id = status, nil
    if item.delay > 0 then
      write_row(row)
      extra = ',"delay":' .. int(item.delay)
      call('ZADD', DELAYED, int(now + item.delay), id)
      add_retrying(1)
      wake('leader')
    else
      push(back, row)
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
remove_leases(freed)
put_back(back)
if runnable() then
  wake('leader')
end
return done('OK', table.concat(outcomes, ' '))
