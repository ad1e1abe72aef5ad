-- use: workers tasks
-- ARGV: by, rows "id, token, success, retry delay, reason, code, error" (texts JSON), results, ttl
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

for id, token, success, delay, reason, code, err in string.gmatch(ARGV[3],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = detail(id)
  local item = { row = row, success = success == '1', delay = tonumber(delay), reason = reason,
    code = code, error = err, result = results(), outcome = judge(row, token) }
  if item.outcome == 'OK' then
    if not probed[row.worker_id] then
      probed[row.worker_id] = true
      call('SCARD', LEASES .. row.worker_id)
    end
    probe_end(id, true)
    probe_note(id, reason, err)
    item.retry = item.delay and not item.success and not row.cancel_requested
    if not item.retry then
      push(ending, id)
      item.at = #ending
    end
  end
  push(items, item)
end
local bodies_of = snapshots_of(ending)

begin()
local freed, released = {}, {}
local function complete(item)
  local row = item.row
  local id, worker_id = row.id, row.worker_id
  local set, drop = {}, {}
  local reason = item.reason
  if row.cancel_requested then
    reason = quoted(cancel_reason(row))
  end
  push(freed, id)
  released[worker_id] = released[worker_id] or {}
  push(released[worker_id], id)
  if reason ~= '""' or row.reason or row.note then
    set_reason(row, set, drop, plain(reason))
  end
  set_error(row, set, item.success and '""' or item.error)
  local run = wall - (row.start_time and ms_of(row.start_time) or wall)
  local status, extra = nil, reason ~= '""' and ',"reason":' .. reason or ''
  if item.retry then
    status = 'retrying'
    extra = extra .. ',"delay":' .. int(item.delay)
    push(set, 'status', status, 'accepted_by', worker_id,
      'retry_count', int(tonumber(row.retry_count or '0') + 1))
    push(drop, 'worker_id')
    write_row(row, set, drop)
    call('ZADD', DELAYED, int(now + item.delay), id)
    add_retrying(1)
    ring('leader')
  else
    status = row.cancel_requested and 'cancelled' or (item.success and 'success' or 'failed')
    finish(row, status, set, drop, ttl, item.result, bodies_of[item.at])
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
if #freed > 0 then
  call('ZREM', LEASE, unpack(freed))
  for worker_id, ids in pairs(released) do
    call('SREM', LEASES .. worker_id, unpack(ids))
    add_load('r:', worker_id, -#ids)
  end
  if call('ZCARD', READY) > 0 then
    ring('leader')
  end
end
return done('OK', table.concat(outcomes, ' '))
