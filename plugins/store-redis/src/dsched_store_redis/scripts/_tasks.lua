-- Tasks: where they wait, and the one way in which they end.
local READY, DELAYED, LEASE = P .. 'task:ready', P .. 'task:delayed', P .. 'task:lease'
local QUEUE = P .. 'task:queue:'
local HELD, HELD_BY, LIVE = P .. 'task:held', P .. 'config:held', P .. 'task:live:'
local DETAIL, BODY, RESULT = P .. 'task:detail:', P .. 'task:body:', P .. 'task:result:'
local LINES, LINECOUNT = P .. 'task:lines:', P .. 'task:linecount:'
local NOTE, ENDED = P .. 'task:note:', P .. 'task:ended:'
local DEADLINE, ROUTE = P .. 'task:deadline', P .. 'task:route'
local CONFIG, DUE, FIXED = P .. 'config:detail:', P .. 'config:due', P .. 'config:delay'
local ENDS = { 'success', 'failed', 'cancelled' }
local TERMINAL = { success = true, failed = true, cancelled = true }
local SHORT = 60
-- A member of task:lease that is no task and never over. It is longer than 64 bytes, which makes the
-- server keep the set as a skip list: small sets are searched and copied as a whole for each entry.
local GUARD = string.rep('-', 65)

local function probe_tasks()
  probe('ZCARD', 'task:ready', 'task:delayed', 'task:lease', 'task:held', 'config:due')
  probe('HLEN', 'task:deadline', 'task:route', 'config:held', 'config:delay', 'worker:load')
  probe('LLEN', 'task:ended:success', 'task:ended:failed', 'task:ended:cancelled')
end

local deadlines, routes
local function some_deadlines()
  if deadlines == nil then
    deadlines = call('HLEN', DEADLINE) > 0
  end
  return deadlines
end
local function some_routes()
  if routes == nil then
    routes = call('HLEN', ROUTE) > 0
  end
  return routes
end

-- An ended task is one string, since nothing of it changes any more: a line with its row (instants
-- in ms), one with its result and one with its snapshot. A hash and a string take twice the memory.
local COMMON_FIELDS = { 'status', 'scheduled_time', 'end_time', 'start_time', 'attempt', 'worker_id',
  'claim' }
local RARE_FIELDS = { 'retry_count', 'crash_count', 'priority', 'reason', 'note', 'lines',
  'accepted_by', 'cancel_requested', 'cancel_reason' }
local INSTANTS = { 'scheduled_time', 'end_time', 'start_time' }

local texts = {}
local function ms_text(time)
  if not time then
    return ''
  end
  texts[time] = texts[time] or int(ms_of(time))
  return texts[time]
end

-- Both are spelt out, since they run for each task that ends: most have no rare field.
local function rare_text(row)
  if not (row.retry_count or row.crash_count or row.priority or row.reason or row.note or row.lines
    or row.accepted_by or row.cancel_requested or row.cancel_reason) then
    return ''
  end
  local values = {}
  for i, name in ipairs(RARE_FIELDS) do
    values[i] = row[name] or ''
  end
  return '\t' .. table.concat(values, '\t')
end

local function ended_text(row)
  return row.status .. '\t' .. ms_text(row.scheduled_time) .. '\t' .. ms_text(row.end_time) .. '\t'
    .. ms_text(row.start_time) .. '\t' .. (row.attempt or '') .. '\t' .. (row.worker_id or '')
    .. '\t' .. (row.claim or '') .. rare_text(row) .. '\n' .. row.result .. '\n' .. row.spec
end

local function ended_row(id)
  local head, result, spec =
    string.match(call('GET', RESULT .. id) or '', '^([^\n]*)\n([^\n]*)\n(.*)$')
  if not head then
    return nil
  end
  local row, i = { id = id, result = result, spec = spec }, 0
  for value in string.gmatch(head .. '\t', '([^\t]*)\t') do
    i = i + 1
    local name = COMMON_FIELDS[i] or RARE_FIELDS[i - #COMMON_FIELDS]
    row[name] = value ~= '' and value or nil
  end
  for _, name in ipairs(INSTANTS) do
    row[name] = row[name] and rfc(tonumber(row[name]))
  end
  return row
end

-- The row of a task, or nil. The hash holds a fixed set of short fields, defaults left out. A task
-- is on a queue if it is pending and has a worker; `queued` tells since when.
local function detail(id)
  local flat = call('HGETALL', DETAIL .. id)
  if #flat == 0 then
    return ended_row(id)
  end
  local row = { id = id }
  for i = 1, #flat, 2 do
    row[flat[i]] = flat[i + 1]
  end
  if row.note then
    call('HLEN', NOTE .. id)
  end
  return row
end

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
  return int((9 - tonumber(row.priority or '5')) * 1e13 + ms_of(row.scheduled_time))
end

local function make_ready(row)
  call('ZADD', READY, ready_score(row), row.id)
  ring('leader')
end

-- Snapshots of tasks. One that somebody removed is replaced by one that fails by its executor's
-- name, so that a damaged task ends in the open and stops no other.
local LOST = '{"executor":"snapshot lost","v":1}'
local function snapshots_of(ids)
  local keys = {}
  for i, id in ipairs(ids) do
    keys[i] = BODY .. id
  end
  local found = #keys > 0 and call('MGET', unpack(keys)) or {}
  for i, key in ipairs(keys) do
    found[i] = found[i] or call('GET', key) or LOST
  end
  return found
end

-- What finish() may read and write besides the task's own hash; the snapshot too unless it has
-- been read already.
local function probe_end(id, read)
  if not read then
    call('STRLEN', BODY .. id)
  end
  local config_id = fire_config(id)
  if config_id then
    call('ZCARD', LIVE .. config_id)
    call('HLEN', CONFIG .. config_id)
    local held = call('HGET', HELD_BY, config_id)
    if held then
      call('HLEN', DETAIL .. held)
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

-- Changes of one row: fields to set, fields to drop.
local function set_reason(row, set, drop, text)
  if row.note then
    call('HDEL', NOTE .. row.id, 'reason')
  end
  if text ~= '' and #text <= SHORT then
    push(set, 'reason', text)
    return
  end
  if text ~= '' then
    call('HSET', NOTE .. row.id, 'reason', text)
    push(set, 'note', '1')
    row.note = '1'
  end
  if row.reason then
    push(drop, 'reason')
  end
end

local function set_error(row, set, json)
  if json ~= '""' then
    call('HSET', NOTE .. row.id, 'error', json)
    push(set, 'note', '1')
    row.note = '1'
  elseif row.note then
    call('HDEL', NOTE .. row.id, 'error')
  end
end

local function cancel_reason(row)
  return row.cancel_reason or call('HGET', NOTE .. row.id, 'cancel_reason') or ''
end

local function write_row(row, set, drop)
  local key = DETAIL .. row.id
  if #set > 0 then
    call('HSET', key, unpack(set))
  end
  if #drop > 0 then
    call('HDEL', key, unpack(drop))
  end
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
    ring('leader')
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
  elseif live == 1 then
    local held = call('HGET', HELD_BY, config_id)
    if held then
      call('HDEL', HELD_BY, config_id)
      call('ZREM', HELD, held)
      make_ready(detail(held))
    end
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

local function expire_lines(id, ms)
  call('PEXPIRE', LINES .. id, ms)
  call('PEXPIRE', LINECOUNT .. id, ms)
end

-- End a task whose home has been freed: one string instead of hash and snapshot, live tasks.
-- `set` and `drop` carry what else changes of the row; `result` is JSON or nil.
local function finish(row, status, set, drop, ttl, result, body)
  local id = row.id
  for i = 1, #set, 2 do
    row[set[i]] = set[i + 1]
  end
  for _, name in ipairs(drop) do
    row[name] = nil
  end
  row.status, row.end_time = status, rfc(wall)
  local keep = int(px(keep_ms(ttl, status)))
  row.result, row.spec = result or '', body or call('GET', BODY .. id) or ''
  call('SET', RESULT .. id, ended_text(row), 'PX', keep)
  if row.note then
    call('PEXPIRE', NOTE .. id, keep)
  end
  if row.lines then
    expire_lines(id, keep)
  end
  ended[status] = ended[status] or {}
  push(ended[status], id)
  push(over, DETAIL .. id, BODY .. id)
  if some_deadlines() then
    call('HDEL', DEADLINE, id)
  end
  if some_routes() then
    call('HDEL', ROUTE, id)
  end
  leave_live(id)
end
