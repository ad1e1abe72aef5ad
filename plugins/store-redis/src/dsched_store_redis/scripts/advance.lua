-- use: workers tasks cancel
-- ARGV: fence, rows "run, version, again in, cancel reason (JSON), end, its reason (JSON), skips,
-- births, cancels" (these three are how many) ", whether it overlooks a cancel, workers" (how many), skips
-- "step, status, reason (JSON)", births "name, priority, route", their snapshots, names of cancelled ones, result ttl,
-- workers "step, ids (JSON)"
local fence, ttl = ARGV[2], ARGV[8]
local refused = fenced(fence)
if refused then
  return refused
end
probe_tasks()
local next_skip = string.gmatch(ARGV[4], '([^\t]*)\t([^\t]*)\t([^\n]*)\n')
local next_birth = string.gmatch(ARGV[5], '([^\t]*)\t([^\t]*)\t([^\n]*)\n')
local next_body = string.gmatch(ARGV[6], '([^\n]*)\n')
local next_cancel = string.gmatch(ARGV[7], '([^\n]*)\n')
local next_workers = string.gmatch(ARGV[9], '([^\t]*)\t([^\n]*)\n')
-- Of what steps have told their workers: beside the steps that are skipped, and none has a space.
local TOLD = 'w '

local function judge(one)
  local row = one.row
  if not row or not row.run or row.status ~= 'running' then
    return 'STALE'
  elseif row.cancel_requested and one.overlooks or one.ending ~= '' and not one.current then
    return 'MOVED'
  elseif one.ending ~= '' and (one.birth_count > 0 or one.living > 0) then
    return 'CONFLICT'
  end
  return 'OK'
end

local function read(one)
  for _ = 1, one.skip_count do
    local step, status, reason = next_skip()
    local there = call('SISMEMBER', RUN_SKIPPED .. one.id, step) == 1
    if not there then
      push(one.skips, { step = step, status = status, reason = reason })
    end
  end
  for _ = 1, one.birth_count do
    local name, priority, route = next_birth()
    local body, id = next_body(), one.id .. '~' .. name
    if call('STRLEN', DETAIL .. id) == 0 then
      push(one.births, { id = id, name = name, priority = priority, route = route, body = body })
    end
  end
  for _ = 1, one.worker_count do
    local step, workers = next_workers()
    if call('SISMEMBER', RUN_SKIPPED .. one.id, TOLD .. step) == 0 then
      push(one.workers, { step = step, ids = workers })
    end
  end
  for _ = 1, one.cancel_count do
    push(one.cancels, one.id .. '~' .. next_cancel())
  end
end

local items = {}
for id, version, again, why, ending, reason, skips, births, cancels, overlooks, workers in string.gmatch(ARGV[3],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local one = { id = id, again = again, why = why, ending = ending, reason = reason,
    row = detail(id), skips = {}, births = {}, cancels = {}, skip_count = tonumber(skips),
    birth_count = tonumber(births), cancel_count = tonumber(cancels),
    overlooks = overlooks ~= '', workers = {}, worker_count = tonumber(workers) }
  probe_run(id)
  one.version = call('LLEN', RUN_LOG .. id)
  one.current = one.version == tonumber(version)
  one.living = tonumber(call('HGET', RUN_LIVING, id) or '0')
  read(one)
  one.outcome = judge(one)
  one.members = {}
  if one.outcome == 'OK' then
    one.members = rows_of(one.cancels)
    for _, row in ipairs(one.members) do
      if row and not TERMINAL[row.status] then
        probe_cancel(row)
      end
    end
    if ending ~= '' then
      probe_end(id)
      call('HLEN', NOTE .. id)
    end
  end
  push(items, one)
end
begin()

local function skip(one)
  for _, it in ipairs(one.skips) do
    call('SADD', RUN_SKIPPED .. one.id, it.step)
    call('RPUSH', RUN_LOG .. one.id, '["s","' .. it.step .. '",' .. wall_text .. ',"' .. it.status
      .. '",' .. it.reason .. ']')
    note('step_skipped', fence, '{"run":"' .. one.id .. '","step":"' .. it.step .. '","status":"'
      .. it.status .. '","reason":' .. it.reason .. '}')
  end
end

local function tell_workers(one)
  for _, it in ipairs(one.workers) do
    call('SADD', RUN_SKIPPED .. one.id, TOLD .. it.step)
    call('RPUSH', RUN_LOG .. one.id, '["w","' .. it.step .. '",' .. wall_text .. ',' .. it.ids .. ']')
  end
end

local function bear(one)
  local new, ready, routed, lines = {}, {}, {}, {}
  mark_limits(ARGV[5])
  for _, it in ipairs(one.births) do
    local priority = it.priority ~= '5' and it.priority or nil
    push(new, new_task(it.id, wall_text, priority, it.body))
    local score = int((9 - tonumber(it.priority)) * 1e13 + wall)
    if it.route ~= '' then
      score = (ready_place(it.id, score, it.route))
    end
    push(ready, score, it.id)
    if it.route ~= '' then
      push(routed, it.id, it.route)
    end
    push(lines, '["b","' .. it.name .. '",' .. wall_text .. ']')
    note('born', fence, '{"task":"' .. it.id .. '","run":"' .. one.id .. '"}')
  end
  if #lines > 0 then
    call('MSET', unpack(new))
    call('ZADD', READY, unpack(ready))
    call('RPUSH', RUN_LOG .. one.id, unpack(lines))
    call('HINCRBY', RUN_LIVING, one.id, #lines)
    wake('leader')
  end
  if #routed > 0 then
    call('HSET', ROUTE, unpack(routed))
    some_routes = true
  end
end

local function end_run(one)
  local row = one.row
  set_reason(row, plain(one.reason))
  call('ZREM', RUNS, one.id)
  push(over, RUN_SKIPPED .. one.id)
  finish(row, one.ending, ttl)
  note('run_ended', fence, '{"task":"' .. one.id .. '","status":"' .. one.ending .. '","run":'
    .. int(wall - tonumber(row.start_time or wall))
    .. (one.reason ~= '""' and ',"reason":' .. one.reason or '') .. '}')
end

local answers = {}
for i, one in ipairs(items) do
  if one.outcome == 'OK' then
    skip(one)
    tell_workers(one)
    bear(one)
    if one.current then
      call('ZADD', RUNS, one.again == '' and '+inf' or int(now + tonumber(one.again)), one.id)
    end
    for _, row in ipairs(one.members) do
      if row and not TERMINAL[row.status] then
        cancel_row(row, fence, one.why, ttl)
      end
    end
    if one.ending ~= '' then
      end_run(one)
    end
    one.version = call('LLEN', RUN_LOG .. one.id)
  end
  answers[i] = one.outcome .. ' ' .. int(one.outcome == 'STALE' and 0 or one.version)
end
return done('OK', answers)
