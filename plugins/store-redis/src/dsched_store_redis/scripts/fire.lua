-- use: workers tasks configs cancel
-- ARGV: fence, rows "id, revision, due, next_due, latest, skipped item,
-- left out items, parked until, resumes, paused up to, why (JSON), runs", result ttl, batch
-- runs: "scheduled:not_before scheduled:not_before"
local fence, ttl, most = ARGV[2], ARGV[4], tonumber(ARGV[5])
local refused = fenced(fence)
if refused then
  return refused
end
probe_tasks()
probe_configs()

-- Live tasks that cancel_previous would end: the held ones first, or ending a live one frees one.
local function live_rows(id)
  local held, rows = {}, {}
  for _, task_id in ipairs(held_of(id)) do
    held[task_id] = true
    if #rows < most then
      push(rows, detail(task_id))
    end
  end
  for _, task_id in ipairs(call('ZRANGE', LIVE .. id, 0, most - 1)) do
    if not held[task_id] and #rows < most then
      push(rows, detail(task_id))
    end
  end
  return rows
end

-- Whether a config has counted enough to pause itself.
local function counted(config)
  return tonumber(config.fails or '0') >= tonumber(config.fails_max or 'inf')
    or tonumber(config.fires or '0') >= tonumber(config.fires_max or 'inf')
end

local fires = {}
for id, revision, due, next_due, latest, skipped, left_out, parked, resumes, upto, why, runs in string.gmatch(ARGV[3],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local config = config_of(id)
  local one = { id = id, config = config, next_due = next_due, skipped = skipped,
    left_out = left_out, parked = parked, upto = upto, why = why, till = resumes ~= '' and due, runs = {}, outcome = 'OK' }
  if not config or config.revision ~= revision or (config.paused and not one.till) then
    one.outcome = 'REVISED'
  elseif one.till then
    one.live = call('ZCARD', LIVE .. id)
    if not config.till or int(tonumber(config.till)) ~= due then
      one.outcome = 'MOVED'
    elseif tonumber(latest) > wall then
      one.outcome = 'EARLY'
    end
  elseif (config.due and int(tonumber(config.due)) or '') ~= due then
    one.outcome = 'MOVED'
  elseif upto ~= '' and not counted(config) then
    one.outcome = 'MOVED'
  elseif latest ~= '' and tonumber(latest) > wall then
    one.outcome = 'EARLY'
  else
    one.live = call('ZCARD', LIVE .. id)
    one.spec = call('GET', SPEC .. id)
    if config.overlap == 'cancel_previous' then
      for _, row in ipairs(live_rows(id)) do
        probe_cancel(row)
      end
    end
    for scheduled, not_before in string.gmatch(runs, '(%-?%d+):(%-?%d+)') do
      local task_id = id .. '@' .. scheduled
      push(one.runs, { id = task_id, ms = scheduled, not_before = tonumber(not_before),
        known = call('STRLEN', DETAIL .. task_id) > 0 })
      if config.run then
        probe_run(task_id)
      end
    end
  end
  push(fires, one)
end
begin()

local function overlap(one)
  local policy = one.config.overlap or 'skip'
  if policy == 'allow' or one.live == 0 then
    return 'fired'
  elseif policy == 'skip' then
    return 'skipped'
  elseif policy == 'queue_one' then
    return #held_of(one.id) > 0 and 'skipped' or 'held'
  elseif policy == 'queue_all' then
    -- An earlier build may have left a task held; it is released before anything new is held.
    free_oldest(one.id, one.live)
    return #held_of(one.id) < tonumber(one.config.cap) and 'held' or 'skipped'
  end
  for _, row in ipairs(live_rows(one.id)) do
    cancel_row(row, fence, '"superseded"', ttl)
  end
  one.live = call('ZCARD', LIVE .. one.id)
  return one.live > 0 and 'held' or 'fired'
end

local dues = {}
local function create(one, run, outcome)
  local config, id, scheduled = one.config, run.id, tonumber(run.ms)
  call('MSET', new_task(id, run.ms, config.priority, one.spec, config.run))
  call('ZADD', LIVE .. one.id, run.ms, id)
  one.live = one.live + 1
  if config.deadline then
    call('HSET', DEADLINE, id, int(scheduled + tonumber(config.deadline)))
    some_deadlines = true
  end
  if config.route then
    call('HSET', ROUTE, id, config.route)
    some_routes = true
    mark_limits(config.route)
  end
  if outcome == 'held' then
    hold(one.id, id, run.ms)
  elseif config.run then
    open_run(id, int(now + math.max(0, run.not_before - wall)))
  elseif run.not_before > wall then
    call('ZADD', DELAYED, int(now + run.not_before - wall), id)
  else
    local score = ready_score({ scheduled_time = run.ms, priority = config.priority })
    call('ZADD', READY, (ready_place(id, score, config.route or '')), id)
  end
  note('fired', fence, '{"config":"' .. one.id .. '","ms":' .. run.ms .. ',"task":"' .. id
    .. '","late":' .. int(wall - scheduled) .. (outcome == 'held' and ',"held":true' or '') .. '}')
end

-- Ends a pause whose instant has come.
local function resume(one)
  local id, next_due = one.id, one.next_due
  if one.skipped ~= '' then
    note('skipped', fence, one.skipped)
  end
  call('HDEL', CONFIG .. id, 'paused', 'gap', 'who', 'why', 'parked')
  forget_counts(one.config)
  forget_skips(id, one.config.skips, next_due)
  rearm(id, one.config.delay, false, next_due)
  note('config', fence, '{"config":"' .. id .. '","act":"resumed","revision":' .. one.config.revision
    .. ',"until":' .. one.till .. '}')
  return ''
end

-- Pauses a config that has counted enough.
local function pause(one)
  local id = one.id
  if one.skipped ~= '' then
    note('skipped', fence, one.skipped)
  end
  unpark(one.config)
  call('HSET', CONFIG .. id, 'paused', wall_text, 'gap', one.upto, 'who', '"dsched"', 'why', one.why)
  call('ZREM', DUE, id)
  note('config', fence, '{"config":"' .. id .. '","act":"paused","revision":' .. one.config.revision
    .. ',"who":"dsched","why":' .. one.why .. '}')
  return ''
end

local function fire(one)
  if one.till then
    return resume(one)
  end
  if one.upto ~= '' then
    return pause(one)
  end
  if one.parked ~= '' then
    call('HSET', CONFIG .. one.id, 'parked', one.parked .. ' ' .. int(tonumber(one.config.due)))
    push(dues, one.parked, one.id)
    return ''
  end
  unpark(one.config)
  if one.skipped ~= '' then
    note('skipped', fence, one.skipped)
  end
  if one.left_out ~= '' then
    note('skipped', fence, one.left_out)
  end
  local outcomes, last, made = {}, nil, 0
  for i, run in ipairs(one.runs) do
    local asked = not run.known and skip_item(one.id, one.config.skips, run.ms)
    local outcome = asked and 'skipped' or run.known and 'dup' or overlap(one)
    if asked then
      note('skipped', fence, asked)
    elseif outcome == 'skipped' then
      note('skipped', fence, '{"config":"' .. one.id .. '","first":' .. run.ms .. ',"last":'
        .. run.ms .. ',"count":1,"reason":"overlap","behind":"'
        .. call('ZRANGE', LIVE .. one.id, 0, 0)[1] .. '"}')
    elseif outcome ~= 'dup' then
      create(one, run, outcome)
      made = made + 1
    end
    outcomes[i] = outcome
    last = run.ms
  end
  local next_due = one.next_due
  forget_skips(one.id, one.config.skips, next_due)
  if last then
    call('HSET', CONFIG .. one.id, 'last_fired', last)
    if one.config.delay then
      next_due = one.live > 0 and '' or int(wall + tonumber(one.config.delay))
    end
  end
  local most = tonumber(one.config.fires_max or '')
  if most and made > 0 and call('HINCRBY', CONFIG .. one.id, 'fires', made) >= most
    and next_due ~= '' then
    next_due = named_now(one.id, next_due)
  end
  if next_due == '' then
    call('ZREM', DUE, one.id)
  else
    push(dues, next_due, one.id)
  end
  return table.concat(outcomes, ' ')
end

local answers = {}
for i, one in ipairs(fires) do
  answers[i] = one.outcome .. ' ' .. (one.outcome == 'OK' and fire(one) or '')
end
if #dues > 0 then
  call('ZADD', DUE, unpack(dues))
end
return done('OK', answers)
