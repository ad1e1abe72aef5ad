-- use: workers tasks cancel
-- ARGV: worker, incarnation, lane, number, limit, result ttl
local id, lane, number = ARGV[2], ARGV[4], tonumber(ARGV[5])
local limit, ttl = tonumber(ARGV[6]), ARGV[7]
probe_workers()
probe_tasks()
call('SCARD', LEASES .. id)
call('LLEN', QUEUE .. id)
local worker = worker_of(id)
local outcome = check_incarnation(worker, ARGV[3])
local last, last_ids = -1, ''
local kept = call('HGET', LANES .. id, lane)
if kept then
  local digits, ids = string.match(kept, '^(%-?%d+)\n(.*)$')
  last, last_ids = tonumber(digits), ids
end
if outcome == 'OK' and number < last then
  outcome = 'STALE'
end
if outcome ~= 'OK' then
  begin()
  return done(outcome)
end

local claim = ARGV[3] .. '.' .. lane .. '.' .. ARGV[5]
local epoch = call('GET', P .. 'schedule:epoch') or '0'
local until_ms = int(now + worker.timeout)
local rows, expired = {}, {}

local function answer(snapshots)
  local lines = {}
  for i, row in ipairs(rows) do
    local notes = row.note and call('HMGET', NOTE .. row.id, 'error', 'progress') or {}
    lines[i] = table.concat({ row.id, row.scheduled_time, row.start_time, row.attempt,
      row.retry_count or '0', row.crash_count or '0', row.priority or '5',
      row.cancel_requested or '', notes[1] or '', notes[2] or '' }, '\t')
  end
  if #rows == 0 then
    return done('EMPTY', epoch, '', '')
  end
  return done('OK', epoch, table.concat(lines, '\n'), table.concat(snapshots, '\n'))
end

if number == last then
  local renewed, renewed_ids = {}, {}
  for task_id in string.gmatch(last_ids, '[^ ]+') do
    local row = detail(task_id)
    if row and row.status == 'running' and row.worker_id == id and row.claim == claim then
      push(rows, row)
      push(renewed, until_ms, task_id)
      push(renewed_ids, task_id)
    end
  end
  local snapshots = snapshots_of(renewed_ids)
  begin()
  if #renewed > 0 then
    call('ZADD', LEASE, 'XX', unpack(renewed))
  end
  return answer(snapshots)
end

local queued = {}
if call('SISMEMBER', DRAINING, id) == 0 then
  queued = call('LRANGE', QUEUE .. id, 0, limit - 1)
end
local found = rows_of(queued)
if some_deadlines and #queued > 0 then
  -- Some may have expired: look at up to 100 to fill the places of those.
  queued = call('LRANGE', QUEUE .. id, 0, 99)
end
local taken, ids = {}, {}
for i, task_id in ipairs(queued) do
  if #rows == limit then
    break
  end
  push(taken, task_id)
  local row = i <= limit and found[i] or i > limit and detail(task_id)
  local latest = row and not row.attempt and some_deadlines and call('HGET', DEADLINE, task_id)
  if latest and wall > tonumber(latest) then
    probe_cancel(row)
    push(expired, row)
  elseif row then
    push(rows, row)
    push(ids, task_id)
  end
end
local snapshots = snapshots_of(ids)

begin()
if call('SREM', STALLED, id) == 1 then
  wake('leader')
end
if #taken > 0 then
  call('LTRIM', QUEUE .. id, #taken, -1)
  add_load('q:', id, -#taken)
end
for _, row in ipairs(expired) do
  give_back(row.id, true)
  end_cancelled(row, id, '"expired"', ttl)
end
local leases = {}
local token = id .. '.' .. claim
for _, row in ipairs(rows) do
  local attempt = int(tonumber(row.attempt or '0') + 1)
  row.status, row.since, row.start_time = 'running', nil, wall_text
  row.attempt, row.claim, row.accepted_by, row.reason = attempt, claim, nil, nil
  if row.note then
    call('HDEL', NOTE .. row.id, 'progress', 'reason')
  end
  if attempt == '1' and some_deadlines then
    call('HDEL', DEADLINE, row.id)
  end
  push(leases, until_ms, row.id)
  note('claimed', token, '{"task":"' .. row.id .. '","attempt":' .. attempt .. '}')
end
write_rows(rows)
if #rows > 0 then
  call('ZADD', LEASE, '+inf', GUARD, unpack(leases))
  call('SADD', LEASES .. id, unpack(ids))
  add_load('r:', id, #rows)
end
call('HSET', LANES .. id, lane, ARGV[5] .. '\n' .. table.concat(ids, ' '))
return answer(snapshots)
