-- Configs: config:detail:{id} small hash, config:body:{id} the content, config:due the dues,
-- config:origin their origins: "origin id" with a tab, all at score 0, in the order of bytes.
local INDEX, CONTENT, SPEC = P .. 'config:index', P .. 'config:body:', P .. 'config:spec:'
local ORIGIN = P .. 'config:origin'
-- After how many failures in a row a config pauses itself, of those that do.
local COUNTED = P .. 'config:counted'

local function probe_configs()
  probe('ZCARD', 'config:index', 'config:due')
  probe('HLEN', 'config:delay')
end

-- From one origin to another; nil where there is no config, and for `api`, which is not kept: what
-- calls put may be a million configs.
local function move_origin(id, old, new)
  if old and old ~= new then
    call('ZREM', ORIGIN, old .. '\t' .. id)
  end
  if new then
    call('ZADD', ORIGIN, '0', new .. '\t' .. id)
  end
end

-- What a config owes: its due. For a config that a leader could not plan and parked: what was due
-- then. `parked` is "until due": it counts only for the due that it set, since an older version
-- sets another due without it.
local function owed(due, parked)
  if due and parked then
    local till, before = string.match(parked, '^(%-?%d+) (%-?%d+)$')
    if int(tonumber(due)) == till then
      return before
    end
  end
  return due
end

local function config_of(id)
  local flat = call('HGETALL', CONFIG .. id)
  if #flat == 0 then
    return nil
  end
  local row = { id = id, due = call('ZSCORE', DUE, id) }
  for i = 1, #flat, 2 do
    row[flat[i]] = flat[i + 1]
  end
  row.due = owed(row.due, row.parked)
  if row.paused then
    -- Of a paused config the due is when the pause ends by itself; it owes nothing.
    row.due, row.till = nil, row.due
  end
  return row
end

local function config_row(id)
  local flat = call('HGETALL', CONFIG .. id)
  if #flat == 0 then
    return false
  end
  local parked = nil
  for i = 1, #flat, 2 do
    if flat[i] == 'parked' then
      parked = flat[i + 1]
    end
  end
  return { id, flat, owed(call('ZSCORE', DUE, id), parked) or '', call('GET', CONTENT .. id) }
end

-- What is stored, in the form in which callers say what they read.
local function version_of(row)
  if not row then
    return '0\t\t\t0'
  end
  return row.revision .. '\t' .. (row.due and int(tonumber(row.due)) or '') .. '\t'
    .. (row.last_fired or '') .. '\t' .. (row.paused and '1' or '0')
end

-- Instants that an operator asked not to fire: lines of instant, who, why (both JSON), ascending.
local SKIP = '(%-?%d+)\t([^\t\n]*)\t([^\n]*)\n'

-- Forgets those that have been decided about: all before an instant, or all ('').
local function forget_skips(id, skips, before)
  if not skips then
    return
  end
  local kept = {}
  for at, who, why in string.gmatch(skips, SKIP) do
    if before ~= '' and tonumber(at) >= tonumber(before) then
      push(kept, at .. '\t' .. who .. '\t' .. why .. '\n')
    end
  end
  if #kept > 0 then
    call('HSET', CONFIG .. id, 'skips', table.concat(kept))
  else
    call('HDEL', CONFIG .. id, 'skips')
  end
end

-- Up to where a rearm accounts for instants; what has come may stay owed.
local function decided_before(upto, next_due)
  local accounted = tonumber(upto) + 1
  if next_due ~= '' then
    accounted = math.min(accounted, tonumber(next_due))
  end
  return int(accounted)
end

-- The event's item if an operator asked not to fire this instant.
local function skip_item(id, skips, ms)
  for at, who, why in string.gmatch(skips or '', SKIP) do
    if at == ms then
      return '{"config":"' .. id .. '","first":' .. ms .. ',"last":' .. ms
        .. ',"count":1,"reason":"operator","who":' .. who .. ',"why":' .. why .. '}'
    end
  end
end

-- What is counted of a config begins anew.
local function forget_counts(row)
  if row.fails or row.fires then
    call('HDEL', CONFIG .. row.id, 'fails', 'failed', 'fires')
  end
end

-- `row`: the config as it was read.
local function unpark(row)
  if row and row.parked then
    call('HDEL', CONFIG .. row.id, 'parked')
  end
end

local function set_due(id, due)
  if due == '' then
    call('ZREM', DUE, id)
  else
    call('ZADD', DUE, due, id)
  end
end

-- The due of a config that has counted enough to pause itself: now, so that the leader does it.
local function named_now(id, due)
  call('HSET', CONFIG .. id, 'parked', wall_text .. ' ' .. int(tonumber(due)))
  return wall_text
end

-- The same, when the leader has not planned it itself: wake the leader, so that it polls.
local function set_due_and_wake(id, due)
  set_due(id, due)
  if due ~= '' then
    wake('leader')
  end
end

-- A fixed-delay config with a live task has no due. `next_due` of a paused one is the end of its
-- pause, if it ends by itself.
local function rearm(id, delay, paused, next_due)
  if not paused and delay and call('ZCARD', LIVE .. id) > 0 then
    next_due = ''
  end
  set_due_and_wake(id, next_due)
end
