-- use: workers tasks cancel page
-- ARGV: fence, choices "id, worker, why", deferrals "id, delay, reason", skip, limit, result ttl
local fence, ttl = ARGV[2], ARGV[7]
local refused = fenced(fence)
if refused then
  return refused
end
probe_workers()
probe_tasks()
local items, ids = {}, {}
local function add(text, kind)
  for id, target, why in string.gmatch(text, '(%C*)\t(%C*)\t(%C*)\n') do
    push(items, { id = id, kind = kind, target = target, why = why, row = false, outcome = '' })
    push(ids, id)
  end
end
add(ARGV[3], 'choice')
local choices = #items
add(ARGV[4], 'deferral')

local known = {}
local function target_of(worker_id)
  local worker = known[worker_id]
  if worker == nil then
    worker = worker_of(worker_id) or false
    known[worker_id] = worker
    if worker then
      call('LLEN', QUEUE .. worker_id)
      worker.draining = call('SISMEMBER', DRAINING, worker_id) == 1
      worker.stalled = call('SISMEMBER', STALLED, worker_id) == 1
      worker.load = load_of('r:', worker_id) + load_of('q:', worker_id)
      worker.added = {}
    end
  end
  return worker
end

local function refusal(worker)
  if not worker then
    return 'NO_WORKER'
  elseif worker.gone then
    return 'GONE'
  elseif worker.draining then
    return 'DRAINING'
  elseif worker.stalled then
    return 'STALLED'
  end
  return worker.load >= worker.limit and 'FULL' or nil
end

-- Every check, in order; what a choice adds to a worker counts for the next one.
local scores = #ids > 0 and call('ZMSCORE', READY, unpack(ids)) or {}
local latest = #ids > 0 and some_deadlines and call('HMGET', DEADLINE, unpack(ids)) or {}
local rows = rows_of(ids)
local leaving, delayed, changed, expired = {}, {}, {}, {}
for i, item in ipairs(items) do
  item.row = rows[i]
  if not scores[i] or not item.row then
    -- Where somebody removed the row only, the entry goes with it.
    item.outcome = 'STALE'
    if scores[i] then
      push(leaving, item.id)
    end
  elseif latest[i] and wall > tonumber(latest[i]) then
    item.outcome = 'EXPIRED'
    probe_cancel(item.row, true)
    push(leaving, item.id)
    push(expired, item.id)
    item.at = #expired
  elseif item.kind == 'choice' then
    local worker = target_of(item.target)
    item.outcome = refusal(worker) or 'OK'
    if item.outcome == 'OK' then
      worker.load = worker.load + 1
      push(worker.added, item.id)
    end
  else
    item.outcome = 'OK'
    probe_note(item.id, item.why)
  end
end

local bodies = snapshots_of(expired)

begin()
for _, item in ipairs(items) do
  local row = item.row
  if item.outcome == 'EXPIRED' then
    end_cancelled(row, fence, '"expired"', ttl, bodies[item.at])
  elseif item.outcome == 'OK' and item.kind == 'choice' then
    push(leaving, item.id)
    row.worker_id, row.since = item.target, now_text
    set_reason(row, '')
    push(changed, row)
    note('dispatched', fence, '{"task":"' .. item.id .. '","worker":"' .. item.target .. '"'
      .. (item.why ~= '""' and ',"why":' .. item.why or '') .. '}')
  elseif item.outcome == 'OK' then
    push(leaving, item.id)
    push(delayed, int(now + tonumber(item.target)), item.id)
    set_reason(row, plain(item.why))
    push(changed, row)
    note('deferred', fence, '{"task":"' .. item.id .. '","delay":' .. item.target
      .. ',"reason":' .. item.why .. '}')
    ring('leader')
  end
end
write_rows(changed)
if #leaving > 0 then
  call('ZREM', READY, unpack(leaving))
end
if #delayed > 0 then
  call('ZADD', DELAYED, unpack(delayed))
end
for worker_id, worker in pairs(known) do
  if worker and #worker.added > 0 then
    call('RPUSH', QUEUE .. worker_id, unpack(worker.added))
    add_load('q:', worker_id, #worker.added)
    ring(worker_id)
  end
end
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
end
return done('OK', table.concat(outcomes, ' ', 1, choices),
  table.concat(outcomes, ' ', choices + 1), ready_page(tonumber(ARGV[5]), tonumber(ARGV[6])))
