-- Workers: worker:detail holds "incarnation\ncapacity\nbacklog\ntimeout\n" and a JSON head.
local WORKERS, BEATS = P .. 'worker:detail', P .. 'worker:index'
-- worker:draining holds ids, and "!id" of those that leave by themselves.
local DRAINING, STALLED = P .. 'worker:draining', P .. 'worker:stalled'
local LOAD = P .. 'worker:load'
-- What workers can run, by digest: a JSON list of names.
local ABILITY = P .. 'worker:ability'
local LANES, LEASES, POOL = P .. 'worker:lanes:', P .. 'worker:leases:', P .. 'worker:pool:'

local function probe_workers()
  probe('HLEN', 'worker:detail', 'worker:load')
  probe('ZCARD', 'worker:index')
  probe('SCARD', 'worker:draining', 'worker:stalled')
end

local function load_of(kind, worker_id)
  return tonumber(call('HGET', LOAD, kind .. worker_id) or '0')
end

local function add_load(kind, worker_id, count)
  if count ~= 0 and call('HINCRBY', LOAD, kind .. worker_id, count) <= 0 then
    call('HDEL', LOAD, kind .. worker_id)
  end
end

-- Bytewise: Lua's own < on strings follows the server's locale.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local left, right = string.byte(a, i), string.byte(b, i)
    if left ~= right then
      return left < right
    end
  end
  return #a < #b
end

local function worker_of(worker_id)
  local text = call('HGET', WORKERS, worker_id)
  if not text then
    return nil
  end
  local incarnation, capacity, backlog, timeout, head =
    string.match(text, '^([^\n]*)\n(%d+)\n(%d+)\n(%d+)\n(.*)$')
  local beat = tonumber(call('ZSCORE', BEATS, worker_id) or '0')
  return {
    id = worker_id,
    incarnation = incarnation,
    capacity = tonumber(capacity),
    limit = tonumber(capacity) + tonumber(backlog),
    timeout = tonumber(timeout),
    head = head,
    gone = now - beat > tonumber(timeout),
  }
end

local function ability_of(worker)
  return string.match(worker.head, '^{"ability":"([^"]*)"') or ''
end

local function may_replace(worker, incarnation)
  return less(worker.incarnation, incarnation) or worker.gone
end

local function check_incarnation(worker, incarnation)
  if not worker then
    return 'NO_WORKER'
  end
  if worker.incarnation == incarnation then
    return 'OK'
  end
  return may_replace(worker, incarnation) and 'NO_WORKER' or 'SUPERSEDED'
end

-- RFC 3339 in UTC with milliseconds; dates of the years 1 to 9999.
local function rfc(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor(
    (doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local shifted = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, ms - seconds * 1000)
end

-- The copy for readers: nothing decides on it, and it vanishes with the heartbeat timeout.
local function publish(worker)
  local running = load_of('r:', worker.id)
  local status = 'idle'
  if call('SISMEMBER', DRAINING, worker.id) == 1 then
    status = 'draining'
  elseif running >= worker.capacity then
    status = 'busy'
  end
  call('SET', POOL .. worker.id, worker.head .. '"status":"' .. status .. '","last_heartbeat":"'
    .. rfc(wall) .. '","running_tasks":' .. int(running) .. '}', 'PX', px(worker.timeout))
end

-- Of workers that may have no more, "id, priority" of the last task in each one's queue.
local function lowest_queued(details, loads)
  local has = {}
  for i = 1, #loads, 2 do
    has[loads[i]] = tonumber(loads[i + 1])
  end
  local full, keys = {}, {}
  for i = 1, #details, 2 do
    local id = details[i]
    local queued = has['q:' .. id] or 0
    if queued > 0 then
      local capacity, backlog = string.match(details[i + 1], '^[^\n]*\n(%d+)\n(%d+)\n')
      local last = queued + (has['r:' .. id] or 0) >= capacity + backlog
        and call('LINDEX', P .. 'task:queue:' .. id, -1)
      if last then
        push(full, id)
        push(keys, P .. 'task:detail:' .. last)
      end
    end
  end
  local found = {}
  for i, text in ipairs(#keys > 0 and call('MGET', unpack(keys)) or {}) do
    if text then
      local priority = string.match(text, '^%C*\t%C*\t%C*\t%C*\t%C*\t%C*\t%C*\t%C*\t%C*\t(%d+)')
      push(found, full[i], priority or '5')
    end
  end
  return found
end

-- At most 1,000 workers are registered, so these reads are bounded.
local function all_workers()
  local details, loads = call('HGETALL', WORKERS), call('HGETALL', LOAD)
  return {
    details,
    call('ZRANGE', BEATS, 0, -1, 'WITHSCORES'),
    loads,
    call('SMEMBERS', DRAINING),
    call('SMEMBERS', STALLED),
    lowest_queued(details, loads),
  }
end
