-- use: workers tasks limits classes queues cancel page
-- ARGV: fence, choices "id, worker, why, ability", deferrals "id, delay, reason", skip, limit, result ttl,
-- shut classes "class, reason", lets "limit, classes", how many ready tasks to look through, "most
-- limits that have room, of their tasks to let go, of full buckets to forget"
local fence, ttl = ARGV[2], ARGV[7]
local refused = fenced(fence)
if refused then
  return refused
end
probe_workers()
probe_tasks()
probe_classes()
if not has_classes and ARGV[8] .. ARGV[9] ~= '' then
  return done('CLASSLESS', store_format)
end
local items, ids = {}, {}
local function add(text, kind)
  for id, target, why, ability in string.gmatch(text, '(%C*)\t(%C*)\t(%C*)\t(%C*)\n') do
    push(items, { id = id, kind = kind, target = target, why = why, ability = ability,
      row = false, outcome = '' })
    push(ids, id)
  end
end
add(ARGV[3], 'choice')
local choices = #items
add(ARGV[4], 'deferral')

local known = {}
local leaving, delayed, changed, expired, limited = {}, {}, {}, {}, false
-- A function of its own, as a script may have 200 local names and no more.
local function check_all()
  local function target_of(worker_id)
    local worker = known[worker_id]
    if worker == nil then
      worker = worker_of(worker_id) or false
      known[worker_id] = worker
      if worker then
        worker.size = call('LLEN', QUEUE .. worker_id)
        worker.draining = call('SISMEMBER', DRAINING, worker_id) == 1
        worker.stalled = call('SISMEMBER', STALLED, worker_id) == 1
        worker.load = load_of('r:', worker_id) + load_of('q:', worker_id)
        worker.ability = ability_of(worker)
        worker.added, worker.displaced = {}, {}
      end
    end
    return worker
  end

  -- Whether the last of those that waited before this step gives way to a task. An entry whose row
  -- somebody removed gives way to none.
  local rooms = {}
  local function displace(worker, row)
    local last = queued_at(worker.id, -#worker.displaced - 1)
    if not last or priority_of(last) >= priority_of(row) then
      return false
    end
    push(worker.displaced, last)
    last.limits = some_limits and limits_in(route_of(last.id)) or {}
    for _, name in ipairs(last.limits) do
      rooms[name] = (rooms[name] or places_left(name)) + 1
    end
    move_tokens(last.limits, false)
    worker.load = worker.load - 1
    return true
  end

  local function refusal(worker, ability)
    if not worker then
      return 'NO_WORKER'
    elseif ability ~= '*' and ability ~= worker.ability then
      return 'MOVED'
    elseif worker.gone then
      return 'GONE'
    elseif worker.draining then
      return 'DRAINING'
    elseif worker.stalled then
      return 'STALLED'
    end
    return worker.load >= worker.limit and 'FULL' or nil
  end

  -- The first limit of a task that has no place or no token left.
  local function full_limit(names)
    for _, name in ipairs(names) do
      rooms[name] = rooms[name] or places_left(name)
      if rooms[name] <= 0 then
        return name
      end
      if tokens_left(name) <= 0 then
        return name
      end
    end
    return nil
  end

  -- Every check, in order; what a choice adds to a worker counts for the next one.
  local scores = #ids > 0 and call('ZMSCORE', READY, unpack(ids)) or {}
  local latest = #ids > 0 and some_deadlines and call('HMGET', DEADLINE, unpack(ids)) or {}
  local routes = some_limits and some_routes and #ids > 0 and call('HMGET', ROUTE, unpack(ids)) or {}
  local rows = rows_of(ids)
  for i, item in ipairs(items) do
    item.row, item.score = rows[i], tonumber(scores[i])
    if not scores[i] or not item.row then
      -- If only the row was removed, remove the entry too.
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
      item.outcome = refusal(worker, item.ability) or 'OK'
      item.limits = limits_in(routes[i])
      if item.outcome == 'OK' or item.outcome == 'FULL' then
        item.full = full_limit(item.limits)
        item.outcome = item.full and 'LIMITED' or item.outcome
        limited = limited or item.full ~= nil
      end
      if item.outcome == 'FULL' and displace(worker, item.row) then
        item.outcome = 'OK'
      end
      if item.outcome == 'OK' then
        worker.load = worker.load + 1
        item.priority = priority_of(item.row)
        for _, name in ipairs(item.limits) do
          rooms[name] = rooms[name] - 1
        end
        move_tokens(item.limits, true)
        push(worker.added, item)
      end
    else
      item.outcome = 'OK'
      probe_note(item.id, item.why)
    end
  end
end
check_all()

expired.bodies = snapshots_of(expired)
local function place_added()
  -- What a queue's end will be: from which position on, and the ids there in their order.
  local function new_end(worker)
    local place = {}
    for i, item in ipairs(worker.added) do
      item.turn = i
      item.before = place[item.priority] or before(worker.id, worker.size, item.priority)
      place[item.priority] = item.before
    end
    table.sort(worker.added, function(a, b)
      return a.priority > b.priority or a.priority == b.priority and a.turn < b.turn
    end)
    local kept = worker.size - #worker.displaced
    local from = math.min(kept, worker.added[1].before)
    local old = from < kept and call('LRANGE', QUEUE .. worker.id, from, kept - 1) or {}
    local ids, at = {}, 0
    for _, item in ipairs(worker.added) do
      while at < #old and from + at < item.before do
        at = at + 1
        push(ids, old[at])
      end
      push(ids, item.id)
    end
    for i = at + 1, #old do
      push(ids, old[i])
    end
    return from, ids
  end
  for _, worker in pairs(known) do
    if worker and #worker.added > 0 then
      worker.from, worker.rest = new_end(worker)
    end
  end
end
place_added()

begin()
for _, item in ipairs(items) do
  local row = item.row
  if item.outcome == 'EXPIRED' then
    leave_class(item.id)
    end_cancelled(row, fence, '"expired"', ttl, expired.bodies[item.at])
  elseif item.outcome == 'LIMITED' then
    if item.score < BEHIND / 2 then
      wait_under(item.full, item.id, int(item.score))
      touched[item.full] = true
      call('ZADD', READY, int(item.score + BEHIND), item.id)
      may_open(item.limits, item.full)
    end
  elseif item.outcome == 'OK' and item.kind == 'choice' then
    push(leaving, item.id)
    leave_class(item.id, true)
    hold_places(item.limits, 1)
    write_buckets(item.limits)
    for _, name in ipairs(item.limits) do
      touched[name] = true
    end
    row.worker_id, row.since = item.target, now_text
    set_reason(row, '')
    push(changed, row)
    note('dispatched', fence, '{"task":"' .. item.id .. '","worker":"' .. item.target .. '"'
      .. (item.why ~= '""' and ',"why":' .. item.why or '') .. '}')
  elseif item.outcome == 'OK' then
    push(leaving, item.id)
    leave_class(item.id)
    push(delayed, int(now + tonumber(item.target)), item.id)
    set_reason(row, plain(item.why))
    push(changed, row)
    note('deferred', fence, '{"task":"' .. item.id .. '","delay":' .. item.target
      .. ',"reason":' .. item.why .. '}')
    wake('leader')
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
    local queue = QUEUE .. worker_id
    if worker.from < worker.size then
      if worker.from == 0 then
        call('DEL', queue)
      else
        call('LTRIM', queue, 0, worker.from - 1)
      end
    end
    for first = 1, #worker.rest, 1000 do
      call('RPUSH', queue, unpack(worker.rest, first, math.min(first + 999, #worker.rest)))
    end
    add_load('q:', worker_id, #worker.added - #worker.displaced)
    wake(worker_id)
    for _, row in ipairs(worker.displaced) do
      write_buckets(row.limits)
      give_back(row.id)
      row.worker_id, row.since = nil, nil
      set_reason(row, 'displaced')
      note('recalled', fence, '{"task":"' .. row.id .. '","worker":"' .. worker_id
        .. '","displaced":true}')
    end
    put_back(worker.displaced)
  end
end
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
end
shut_classes(ARGV[8], ARGV[10], limited)
local opened = let_out(ARGV[9])
let_go(ARGV[11])
return done('OK', table.concat(outcomes, ' ', 1, choices),
  table.concat(outcomes, ' ', choices + 1), ready_page(tonumber(ARGV[5]), tonumber(ARGV[6])), opened, opens_in())
