-- Tasks: where they wait, and the one way in which they end.
local READY, DELAYED, LEASE = P .. 'task:ready', P .. 'task:delayed', P .. 'task:lease'
local QUEUE = P .. 'task:queue:'
-- Of each config with held tasks the oldest is in config:held, and a line each of those behind it in
-- config:line, where there are any.
local HELD, HELD_BY, LIVE = P .. 'task:held', P .. 'config:held', P .. 'task:live:'
local LINE = P .. 'config:line'
local DETAIL, BODY = P .. 'task:detail:', P .. 'task:body:'
local LINES, LINECOUNT = P .. 'task:lines:', P .. 'task:linecount:'
local NOTE, ENDED = P .. 'task:note:', P .. 'task:ended:'
-- Runs of many tasks. Open ones by when they have news ('+inf': none has come); their logs, a list of
-- lines each; how many members of each run live, for as long as the run is kept; skipped steps.
local RUNS, RUN_LIVING = P .. 'run:open', P .. 'run:living'
local RUN_LOG, RUN_SKIPPED = P .. 'run:log:', P .. 'run:skipped:'
-- Of runs that take over members of earlier ones the ids of these, and of these the runs that do; those
-- of them whose own time is over, with how they ended. See _sources.
local SOURCES, FOLLOWERS, ASIDE = P .. 'run:sources', P .. 'run:followers', P .. 'run:aside'
local DEADLINE, ROUTE = P .. 'task:deadline', P .. 'task:route'
local CONFIG, DUE, FIXED = P .. 'config:detail:', P .. 'config:due', P .. 'config:delay'
local ENDS = { 'success', 'failed', 'cancelled' }
local TERMINAL = { success = true, failed = true, cancelled = true }
local SHORT = 60
-- A member of task:lease that is no task and never over. It is longer than 64 bytes, so that the server
-- keeps the set as a skip list: a small set is searched and copied as a whole for each entry.
local GUARD = string.rep('-', 65)

-- Whether any task has a start deadline or a route: most stores have neither, and then no step asks.
local some_deadlines, some_routes
-- The same of configs with more than one held task.
local some_lines
-- Classes of ready tasks: see _classes. What waits under one is further back in the order by BEHIND.
local has_classes = tonumber(string.match(store_format, '^%d+')) >= 4
local some_shut
local SHUT, FULL_CLASSES, LATE = P .. 'class:detail', P .. 'class:full', P .. 'class:late'
local UNDER = P .. 'class:tasks:'
local BEHIND, OPEN_TO = 1e15, '(500000000000000'

-- Limits: see _limits. Whether any task names one.
local some_limits = stored[6] == '1'

local function probe_tasks()
  probe('ZCARD', 'task:ready', 'task:delayed', 'task:lease', 'task:held', 'config:due')
  probe('HLEN', 'config:held', 'config:delay', 'worker:load')
  probe('LLEN', 'task:ended:success', 'task:ended:failed', 'task:ended:cancelled')
  some_deadlines, some_routes = call('HLEN', DEADLINE) > 0, call('HLEN', ROUTE) > 0
  some_lines = call('HLEN', LINE) > 0
  some_shut = has_classes and call('HLEN', SHUT) > 0
  if some_limits then
    probe('HLEN', 'limit:detail', 'limit:held')
    probe('ZCARD', 'limit:names', 'limit:open', 'limit:full')
  end
end

-- A task is one string: a line of fields, instants in ms, defaults left out. An ended
-- one has two more lines, its result and its snapshot, since nothing of it changes any more. `since`
-- is when it ended, or since when (store time) a queued one is in its worker's queue.
-- `%C` is what is no control character, and is matched in half the time of `[^\t]`.
local ROW = '^(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)\t(%C*)([^\n]*)()'
local RARE_FIELDS = { 'retry_count', 'crash_count', 'priority', 'reason', 'note', 'lines',
  'accepted_by', 'cancel_requested', 'cancel_reason', 'run' }

-- The last field is of runs, and is not there at all in the row of a task.
local function rare_text(row)
  if not (row.retry_count or row.crash_count or row.priority or row.reason or row.note or row.lines
    or row.accepted_by or row.cancel_requested or row.cancel_reason or row.run) then
    return ''
  end
  local values = {}
  for i = 1, row.run and 10 or 9 do
    values[i] = row[RARE_FIELDS[i]] or ''
  end
  return '\t' .. table.concat(values, '\t')
end

local function row_text(row)
  return row.status .. '\t' .. row.scheduled_time .. '\t' .. (row.since or '') .. '\t'
    .. (row.start_time or '') .. '\t' .. (row.attempt or '') .. '\t' .. (row.worker_id or '')
    .. '\t' .. (row.claim or '') .. rare_text(row)
end

local function ended_text(row, result, spec)
  return row_text(row) .. '\n' .. result .. '\n' .. spec
end

local function some(text)
  return text ~= '' and text or nil
end

local function row_of(id, text)
  local status, scheduled, since, start, attempt, worker_id, claim, rare, rest =
    string.match(text or '', ROW)
  if not status then
    return nil
  end
  local row = { id = id, status = status, scheduled_time = scheduled, since = some(since),
    start_time = some(start), attempt = some(attempt), worker_id = some(worker_id),
    claim = some(claim) }
  if rare ~= '' then
    local i = 0
    for value in string.gmatch(rare, '\t(%C*)') do
      i = i + 1
      row[RARE_FIELDS[i]] = some(value)
    end
  end
  if rest <= #text then
    row.result, row.spec = string.match(text, '^\n([^\n]*)\n(.*)$', rest)
  end
  if row.note then
    call('HLEN', NOTE .. id)
  end
  return row
end

-- The texts at many keys. A read of many keys raises no error for a key of another type.
local function texts_at(keys)
  local found = #keys > 0 and call('MGET', unpack(keys)) or {}
  for i, key in ipairs(keys) do
    found[i] = found[i] or call('GET', key)
  end
  return found
end

-- The row of a task, or nil.
local function detail(id)
  return row_of(id, call('GET', DETAIL .. id))
end

-- The rows of many, false where there is none.
local function rows_of(ids)
  local keys, rows = {}, {}
  for i, id in ipairs(ids) do
    keys[i] = DETAIL .. id
  end
  local texts = texts_at(keys)
  for i, id in ipairs(ids) do
    rows[i] = row_of(id, texts[i]) or false
  end
  return rows
end

-- Writes the rows of live tasks; finish() writes those that end.
local function write_rows(rows)
  local flat = {}
  for _, row in ipairs(rows) do
    push(flat, DETAIL .. row.id, row_text(row))
  end
  if #flat > 0 then
    call('MSET', unpack(flat))
  end
end

local function write_row(row)
  call('SET', DETAIL .. row.id, row_text(row))
end

-- What a new task is stored as: key and value of its row and of its snapshot.
local function new_task(id, scheduled, priority, body, run)
  local rare = (priority or run) and rare_text({ priority = priority, run = run }) or ''
  return DETAIL .. id, 'pending\t' .. scheduled .. '\t\t\t\t\t' .. rare, BODY .. id, body
end

-- A task is on a queue if it is pending and has a worker.
local function is_queued(row)
  return row.status == 'pending' and row.worker_id ~= nil
end

local function token_of(row)
  return row.claim and ((row.accepted_by or row.worker_id or '') .. '.' .. row.claim)
end

local function fire_config(id)
  if not string.find(id, '@', 1, true) then
    return nil
  end
  local config_id, digits = string.match(id, '^([^@]*)@%-?(%d+)$')
  return config_id and #digits <= 15 and config_id or nil
end

local function ready_score(row)
  return int((9 - tonumber(row.priority or '5')) * 1e13 + tonumber(row.scheduled_time))
end

-- The number of the shut class of a task, nil if it has none that is.
local function shut_class_of(id, route)
  if not some_shut then
    return nil
  end
  route = route or (some_routes and call('HGET', ROUTE, id))
  if not route or route == '' then
    return nil
  end
  local labels = string.match(route, '"required":(.*)}$')
  -- A need has no quotation mark; a route of before has none.
  local need = string.match(route, '"need":("[^"]*")') or '""'
  local stored = call('HGET', SHUT, '{"labels":' .. labels .. ',"need":' .. need .. ',"v":1}')
  if stored then
    local n, blocked = string.match(stored, '^(%d+) (%a+)')
    return n, blocked
  end
  return nil
end

-- How many tasks wait under a class that nobody can run: counted once a step.
local nobodys = 0
local function nobody_by(blocked, count)
  if blocked == 'nobody' then
    nobodys = nobodys + count
  end
end
closing[#closing + 1] = function()
  if nobodys ~= 0 then
    call('HINCRBY', META, 'nobody', nobodys)
  end
end

-- The limits that a route names. In a text of JSON quotation marks are escaped: it has no such key.
local function limits_in(route)
  local names = {}
  for name in string.gmatch(route and string.match(route, '"limits":(%b[])') or '', '"([^"]*)"') do
    push(names, name)
  end
  return names
end

-- From now on steps ask for the limits of tasks, if a new task or config names any.
local function mark_limits(text)
  if not some_limits and string.find(text, '"limits":[', 1, true) then
    call('HSET', META, 'limited', '1')
    some_limits = true
  end
end

local function route_of(id)
  return some_routes and call('HGET', ROUTE, id) or nil
end

local function waits_under(name)
  return call('EXISTS', LIMIT .. 'tasks:' .. name) == 1
end

local function forget_use(name)
  if waits_under(name) then
    return
  end
  call('ZREM', LIMIT .. 'open', name)
  if call('HEXISTS', LIMIT .. 'held', name) == 0 and not call('ZSCORE', LIMIT .. 'full', name) then
    call('ZREM', LIMIT .. 'names', name)
  end
end

-- So many more hold a place of each of these.
local function hold_places(names, by)
  for _, name in ipairs(names) do
    if call('HINCRBY', LIMIT .. 'held', name, by) <= 0 then
      call('HDEL', LIMIT .. 'held', name)
      forget_use(name)
    else
      call('ZADD', LIMIT .. 'names', '0', name)
    end
  end
end

-- These may have room again: where something waits for that the leader is to know.
local function may_open(names, but)
  for _, name in ipairs(names) do
    if name ~= but and waits_under(name) then
      call('ZADD', LIMIT .. 'open', 'LT', now_text, name)
      wake('leader')
    end
  end
end

-- A task is in no worker's hands any more; `unused`: no attempt of it began.
local function give_back(id, unused)
  if some_limits then
    local names = limits_in(route_of(id))
    if unused then
      move_tokens(names, false)
      write_buckets(names)
    end
    hold_places(names, -1)
    may_open(names)
  end
end

-- A ready task waits under a limit, so that it is met at its start deadline.
local function wait_under(name, id, score)
  call('ZADD', LIMIT .. 'tasks:' .. name, score, id)
  call('ZADD', LIMIT .. 'names', '0', name)
  local latest = some_deadlines and call('HGET', DEADLINE, id)
  if latest then
    call('ZADD', LATE, latest, id)
  end
end

-- The first limit of a task under which something waits, but `passing`.
local function shut_limit(route, passing)
  for _, name in ipairs(limits_in(route)) do
    if name ~= passing and waits_under(name) then
      return name
    end
  end
  return nil
end

-- The score of a task that becomes ready, whether it waits by that, and under which limit if it does
-- under one. Else it waits under its class, if that is shut.
local function ready_place(id, score, route, passing)
  if some_limits then
    route = route or route_of(id)
    local name = shut_limit(route, passing)
    if name then
      wait_under(name, id, score)
      return int(tonumber(score) + BEHIND), true, name
    end
  end
  local n, blocked = shut_class_of(id, route)
  if not n then
    return score, false
  elseif blocked == 'full' then
    wake('leader')  -- it may go before others
  end
  nobody_by(blocked, call('ZADD', UNDER .. n, score, id))
  local latest = some_deadlines and call('HGET', DEADLINE, id)
  if latest then
    call('ZADD', LATE, latest, id)
  end
  return int(tonumber(score) + BEHIND), true
end

-- A ready task goes elsewhere; `queued`: to a worker. If not, others may go in its place.
local function leave_class(id, queued)
  if not (some_shut or some_limits) then
    return
  end
  local route = route_of(id)
  local n, blocked = shut_class_of(id, route)
  local waited = n and call('ZREM', UNDER .. n, id) or 0
  nobody_by(blocked, -waited)
  local names = some_limits and limits_in(route) or {}
  for _, name in ipairs(names) do
    if call('ZREM', LIMIT .. 'tasks:' .. name, id) == 1 then
      waited = 1
      forget_use(name)
    end
  end
  if waited == 1 then
    call('ZREM', LATE, id)
  elseif not queued then
    may_open(names)
  end
end

-- Whether anything is ready that a worker with room may run.
local function runnable()
  if not (some_shut or some_limits) then
    return call('ZCARD', READY) > 0
  end
  return call('ZCOUNT', READY, '-inf', OPEN_TO) > 0 or call('SCARD', FULL_CLASSES) > 0
end

local function open_run(id, at)
  call('ZADD', RUNS, at, id)
  call('HSETNX', RUN_LIVING, id, '0')
  wake('leader')
end

local function make_ready(row)
  if row.run then
    open_run(row.id, now_text)
    return
  end
  local score, waits = ready_place(row.id, ready_score(row))
  call('ZADD', READY, score, row.id)
  if not waits then
    wake('leader')
  end
end

-- The same for many, with their rows.
local function put_back(rows)
  local flat, open = {}, false
  for _, row in ipairs(rows) do
    local score, waits = ready_place(row.id, ready_score(row))
    push(flat, score, row.id)
    open = open or not waits
  end
  if #flat > 0 then
    write_rows(rows)
    call('ZADD', READY, unpack(flat))
  end
  if open then
    wake('leader')
  end
end

-- Leases that are over, by worker: gathered, and removed together.
local function free_lease(freed, row)
  local ids = freed[row.worker_id] or {}
  freed[row.worker_id] = ids
  push(ids, row.id)
end

local function remove_leases(freed)
  for worker_id, ids in pairs(freed) do
    call('ZREM', LEASE, unpack(ids))
    call('SREM', LEASES .. worker_id, unpack(ids))
    add_load('r:', worker_id, -#ids)
  end
end

-- Snapshots of tasks. One that somebody removed is replaced by one that fails by its executor's
-- name, so that a damaged task ends in the open and stops no other.
local LOST = '{"executor":"snapshot lost","v":1}'
local function snapshots_of(ids)
  local keys = {}
  for i, id in ipairs(ids) do
    keys[i] = BODY .. id
  end
  local found = texts_at(keys)
  for i in ipairs(keys) do
    found[i] = found[i] or LOST
  end
  return found
end

local function run_of(id)
  return string.match(id, '^([^~]*)~(.*)$')
end

-- The leader has something to decide about a run, if it is open.
local function give_news(id)
  local at = call('ZSCORE', RUNS, id)
  if at then
    if tonumber(at) > now then
      call('ZADD', RUNS, now_text, id)
    end
    wake('leader')
  end
end

-- A member that has ended is told in the log of its run, which has news. `code`: JSON, or nil.
local function tell_run(row, run_id, name, status, code)
  if call('HEXISTS', RUN_LIVING, run_id) == 1 then
    call('RPUSH', RUN_LOG .. run_id, '["e","' .. name .. '",' .. wall_text .. ',"' .. status .. '",'
      .. (code or '""') .. ',' .. (row.attempt or '0') .. ']')
    call('HINCRBY', RUN_LIVING, run_id, -1)
    give_news(run_id)
  end
end

local function probe_run(id)
  probe('ZCARD', 'run:open')
  probe('HLEN', 'run:living')
  call('LLEN', RUN_LOG .. id)
end

-- What finish() may read and write besides the task's own row; the snapshot too unless it has
-- been read already.
local function probe_end(id, read)
  if not read then
    call('STRLEN', BODY .. id)
  end
  local run_id = run_of(id)
  if run_id then
    probe_run(run_id)
  end
  local config_id = fire_config(id)
  if config_id then
    call('ZCARD', LIVE .. config_id)
    call('HLEN', CONFIG .. config_id)
    local held = call('HGET', HELD_BY, config_id)
    if held then
      call('STRLEN', DETAIL .. held)
    end
  end
end

local function probe_note(id, ...)
  for i = 1, select('#', ...) do
    if #(select(i, ...)) > 2 then
      call('HLEN', NOTE .. id)
      return
    end
  end
end

-- Sets the reason in the row as it will be written: a short text is in the row, a long one in its note.
local function set_reason(row, text)
  if row.note then
    call('HDEL', NOTE .. row.id, 'reason')
  end
  row.reason = nil
  if #text > SHORT then
    call('HSET', NOTE .. row.id, 'reason', text)
    row.note = '1'
  elseif text ~= '' then
    row.reason = text
  end
end

local function set_error(row, json)
  if json ~= '""' then
    call('HSET', NOTE .. row.id, 'error', json)
    row.note = '1'
  elseif row.note then
    call('HDEL', NOTE .. row.id, 'error')
  end
end

local function cancel_reason(row)
  return row.cancel_reason or call('HGET', NOTE .. row.id, 'cancel_reason') or ''
end

-- How many are retrying: the only status that no index counts.
local function add_retrying(count)
  call('HINCRBY', META, 'retrying', count)
end

local ended, over = {}, {}
closing[#closing + 1] = function()
  for status, lines in pairs(ended) do
    for first = 1, #lines, 100 do
      call('RPUSH', ENDED .. status, unpack(lines, first, math.min(first + 99, #lines)))
    end
  end
  for first = 1, #over, 200 do
    call('UNLINK', unpack(over, first, math.min(first + 199, #over)))
  end
end

local function rearm_fixed_delay(config_id)
  local delay = call('HGET', FIXED, config_id)
  if delay and call('HEXISTS', CONFIG .. config_id, 'paused') == 0 then
    call('ZADD', DUE, int(wall + tonumber(delay)), config_id)
    wake('leader')
  end
end

-- The tasks held for a config, the oldest first.
local function held_of(config_id)
  local held, first = {}, call('HGET', HELD_BY, config_id)
  if first then
    push(held, first)
  end
  for id in string.gmatch(some_lines and call('HGET', LINE, config_id) or '', '[^\n]+') do
    -- A task that has ended was cancelled by an older build, which knows only the oldest held task.
    if call('ZSCORE', LIVE .. config_id, id) then
      push(held, id)
    end
  end
  return held
end

local function keep_held(config_id, held)
  if #held > 0 then
    call('HSET', HELD_BY, config_id, held[1])
  else
    call('HDEL', HELD_BY, config_id)
  end
  if #held > 1 then
    call('HSET', LINE, config_id, table.concat(held, '\n', 2))
    some_lines = true
  elseif some_lines then
    call('HDEL', LINE, config_id)
  end
end

local function hold(config_id, id, ms)
  local held = held_of(config_id)
  local at = #held + 1
  while at > 1 and tonumber(string.match(held[at - 1], '@(%-?%d+)$')) > tonumber(ms) do
    at = at - 1
  end
  table.insert(held, at, id)
  keep_held(config_id, held)
  call('ZADD', HELD, '0', id)
end

local function hold_no_more(config_id, id)
  local held = held_of(config_id)
  for i, one in ipairs(held) do
    if one == id then
      table.remove(held, i)
      keep_held(config_id, held)
      call('ZREM', HELD, id)
      return
    end
  end
end

-- Make the oldest held task ready if all live tasks, `live` in number, are held.
local function free_oldest(config_id, live)
  if live ~= 1 and not some_lines then
    return
  end
  local held = held_of(config_id)
  if #held > 0 and #held == live then
    hold_no_more(config_id, held[1])
    make_ready(detail(held[1]))
  end
end

local function leave_live(id)
  local config_id = fire_config(id)
  if not config_id then
    return
  end
  call('ZREM', LIVE .. config_id, id)
  local live = call('ZCARD', LIVE .. config_id)
  if live == 0 then
    rearm_fixed_delay(config_id)
  else
    free_oldest(config_id, live)
  end
end

-- For how long a task of an outcome is kept: the argument has one number for each of ENDS.
local kept_ms = {}
local function keep_ms(ttl, status)
  if not kept_ms[status] then
    local i = 0
    for number in string.gmatch(ttl, '%d+') do
      i = i + 1
      kept_ms[ENDS[i]] = tonumber(number)
    end
  end
  return kept_ms[status]
end

-- Whether it must not be shown any more, removed or not.
local function past_its_time(row, ttl)
  return TERMINAL[row.status] and not run_of(row.id) and tonumber(row.since) + keep_ms(ttl, row.status) <= wall
    and not (row.run and call('HEXISTS', FOLLOWERS, row.id) == 1)
end

local function expire_lines(id, ms)
  call('PEXPIRE', LINES .. id, ms)
  call('PEXPIRE', LINECOUNT .. id, ms)
end

-- Write the row of what has ended; it goes by itself when its time has come.
local function write_ended(row, status, ttl, text)
  local id = row.id
  local keep = int(px(keep_ms(ttl, status)))
  call('SET', DETAIL .. id, text, 'PX', keep)
  if row.note then
    call('PEXPIRE', NOTE .. id, keep)
  end
  if row.lines then
    expire_lines(id, keep)
  end
  ended[status] = ended[status] or {}
  push(ended[status], id)
end

-- End a task whose home has been freed, and write its row. `result` and `code` are JSON or nil.
local function finish(row, status, ttl, result, body, code)
  local id = row.id
  row.status, row.since = status, wall_text
  local text = ended_text(row, result or '', body or call('GET', BODY .. id) or '')
  local run_id, name = run_of(id)
  if run_id then  -- a member goes with its run
    call('SET', DETAIL .. id, text)
    tell_run(row, run_id, name, status, code)
  else
    write_ended(row, status, ttl, text)
  end
  push(over, BODY .. id)
  if some_deadlines then
    call('HDEL', DEADLINE, id)
  end
  if some_routes then
    call('HDEL', ROUTE, id)
  end
  leave_live(id)
end
