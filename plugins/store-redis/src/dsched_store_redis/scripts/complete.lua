-- use: workers tasks attempts
-- ARGV: by, rows "id, token, success, retry delay and
-- error to keep, reason, code, error" (texts JSON), results, ttl
local by, ttl = ARGV[2], ARGV[5]
probe_tasks()
local results = string.gmatch(ARGV[4], '([^\n]*)\n')
local items, ending, probed = {}, {}, {}

local function judge(row, token)
  if not row or token_of(row) ~= token then
    return 'STALE'
  end
  if row.accepted_by or TERMINAL[row.status] then
    return 'ALREADY'
  end
  return 'OK'
end

local ids = {}
for id, token, success, delay, reason, code, err in string.gmatch(ARGV[3],
  '(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)\n') do
  push(ids, id)
  local wait, brief = delay_and_error(delay)
  -- All fields at once, since a table that grows is made anew.
  push(items, { token = token, success = success == '1', delay = wait, brief = brief, reason = reason,
    code = code, error = err, result = results(), row = false, outcome = '', retry = false, at = 0 })
end
for i, row in ipairs(rows_of(ids)) do
  local item = items[i]
  item.row, item.outcome = row, judge(row, item.token)
  if item.outcome == 'OK' then
    if not probed[row.worker_id] then
      probed[row.worker_id] = true
      call('SCARD', LEASES .. row.worker_id)
    end
    probe_end(row.id, true)
    probe_note(row.id, item.reason, item.error)
    item.retry = item.delay and not item.success and not row.cancel_requested
    if item.retry then
      call('HLEN', NOTE .. row.id)
    else
      push(ending, row.id)
      item.at = #ending
    end
  end
end
local bodies_of = snapshots_of(ending)

begin()
local freed = {}
local function complete(item)
  local row = item.row
  local id, worker_id = row.id, row.worker_id
  local reason = item.reason
  if row.cancel_requested then
    reason = quoted(cancel_reason(row))
  end
  free_lease(freed, row)
  give_back(id)
  if reason ~= '""' or row.reason or row.note then
    set_reason(row, plain(reason))
  end
  set_error(row, item.success and '""' or item.error)
  local run = wall - tonumber(row.start_time or wall)
  local status, extra = nil, reason ~= '""' and ',"reason":' .. reason or ''
  if item.retry then
    status = 'retrying'
    extra = extra .. ',"delay":' .. int(item.delay)
    remember_attempt(row, 'failed', item.code, item.brief)
    row.status, row.accepted_by, row.worker_id = status, worker_id, nil
    row.retry_count = int(tonumber(row.retry_count or '0') + 1)
    write_row(row)
    call('ZADD', DELAYED, int(now + item.delay), id)
    add_retrying(1)
    wake('leader')
  else
    status = row.cancel_requested and 'cancelled' or (item.success and 'success' or 'failed')
    finish(row, status, ttl, item.result, bodies_of[item.at], item.code)
  end
  note('completed', by, '{"task":"' .. id .. '","status":"' .. status .. '","attempt":'
    .. row.attempt .. ',"code":' .. item.code .. ',"run":' .. int(run) .. extra .. '}')
end
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    complete(item)
  end
end
remove_leases(freed)
if next(freed) and runnable() then
  wake('leader')
end
return done('OK', table.concat(outcomes, ' '))
