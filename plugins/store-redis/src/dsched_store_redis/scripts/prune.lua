-- use: workers tasks sources facts
-- ARGV: fence, limit, ttl by outcome, most by outcome ("-": any), ttl of decisions, most log
-- entries, ms after which a gone worker is forgotten
local fence, limit, ttl = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local refused = fenced(fence)
if refused then
  return refused
end
probe_workers()
probe_tasks()
probe('ZCARD', 'decision:index', 'finished:status:success', 'finished:status:failed',
  'finished:status:cancelled')
local oldest = wall - tonumber(ARGV[6])

-- An entry may outlive its task: a live task that has the same id by now is left alone.
local old_tasks, keys, taken, full = {}, {}, {}, false
local runs, members = {}, {}
local some_runs = call('HLEN', RUN_LIVING) > 0
local some_sources = call('HLEN', SOURCES) > 0
-- Sources of later runs leave their list when their time is over, and come back to its front when the last
-- of those is removed.
local aside, aside_as = 0, {}
-- A run goes with its members and its log: after so many lines there is more.
local PRUNED_LINES = 400
local function members_of(id)
  local lines = call('LRANGE', RUN_LOG .. id, 0, -1)
  for _, line in ipairs(lines) do
    local name = string.match(line, '^%["b","([^"]*)"')
    if name then
      local member = id .. '~' .. name
      push(members, member)
      push(keys, DETAIL .. member, BODY .. member, NOTE .. member, LINES .. member,
        LINECOUNT .. member)
    end
  end
  push(runs, id)
  push(keys, RUN_LOG .. id, RUN_SKIPPED .. id)
  return #lines
end
local next_most = string.gmatch(ARGV[5], '[^ ]+')
for _, status in ipairs(ENDS) do
  local most = tonumber(next_most() or '')
  local surplus = most and call('LLEN', ENDED .. status) - most or 0
  local before, count = wall - keep_ms(ttl, status), 0
  local ids = call('LRANGE', ENDED .. status, 0, limit - 1)
  local living = some_runs and #ids > 0 and call('HMGET', RUN_LIVING, unpack(ids)) or {}
  local lines = 0
  for i, row in ipairs(rows_of(ids)) do
    local id, ended = ids[i], row and TERMINAL[row.status]
    if i > surplus and ended and tonumber(row.since) > before then
      break
    end
    if lines >= PRUNED_LINES then
      full = true
      break
    end
    if some_sources and call('HEXISTS', FOLLOWERS, id) == 1 then
      aside, aside_as[id] = aside + 1, status
    else
      if living[i] and not (row and not ended) then
        lines = lines + members_of(id)
      end
      push(old_tasks, id)
      if ended or not row then
        push(keys, DETAIL .. id, NOTE .. id, LINES .. id, LINECOUNT .. id)
      end
    end
    count = i
  end
  taken[status] = count
  full = full or count == limit
end
local left = #old_tasks + aside
local followers, back = {}, {}
if some_sources then
  probe('HLEN', 'run:followers', 'run:aside')
  followers = followers_without(runs)
  for source, others in pairs(followers) do
    local status, row = aside_as[source] or call('HGET', ASIDE, source), detail(source)
    if others == '' and status and row then
      push(back, { source, status, tonumber(row.since) })
    end
  end
  table.sort(back, function(a, b) return a[3] > b[3] end)
end
-- Index entries that the collector made after their task had been removed.
local late = {}
for status in pairs(TERMINAL) do
  local oldest = wall - keep_ms(ttl, status)
  local key = P .. 'finished:status:' .. status
  for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', int(oldest), 'LIMIT', 0, limit)) do
    if call('STRLEN', DETAIL .. id) == 0 then
      push(late, id)
    end
  end
end
local old_decisions = call('ZRANGEBYSCORE', DECISIONS, '-inf', int(oldest),
  'LIMIT', 0, limit)
local MISSED = P .. 'config:missed'
local old_marks = call('ZRANGEBYSCORE', MISSED, '-inf', int(oldest), 'LIMIT', 0, limit)
local surplus = math.max(0, math.min(call('XLEN', EVENTS) - tonumber(ARGV[7]), limit))
local first = surplus > 0 and call('XRANGE', EVENTS, '-', '+', 'COUNT', surplus) or {}
local cursor = call('HGET', META, 'cursor') or '0-0'
local forgotten = {}
for _, id in ipairs(call('ZRANGEBYSCORE', BEATS, '-inf', int(now - tonumber(ARGV[8])))) do
  local worker = worker_of(id)
  local beat = tonumber(call('ZSCORE', BEATS, id))
  if worker and now - beat >= worker.timeout + tonumber(ARGV[8])
    and load_of('q:', id) == 0 and load_of('r:', id) == 0 then
    push(forgotten, id)
  end
end
table.sort(forgotten, less)

begin()
-- Many at once: a command for each would be most of what this step costs.
local function in_groups(members, act)
  for first = 1, #members, 200 do
    act(unpack(members, first, math.min(first + 199, #members)))
  end
end
local function remove(key, members)
  in_groups(members, function(...)
    call('ZREM', key, ...)
  end)
end
local finished, of_config = late, {}
for _, id in ipairs(old_tasks) do
  push(finished, id)
end
for _, id in ipairs(members) do
  push(finished, id)
end
in_groups(runs, function(...)
  call('HDEL', RUN_LIVING, ...)
end)
in_groups(keys, function(...)
  call('UNLINK', ...)
end)
for _, id in ipairs(finished) do
  local config_id = string.match(id, '^([^@]*)@')
  if config_id then
    of_config[config_id] = of_config[config_id] or {}
    push(of_config[config_id], id)
  end
end
for status in pairs(TERMINAL) do
  remove(P .. 'finished:status:' .. status, finished)
end
for config_id, ids in pairs(of_config) do
  remove(P .. 'finished:config:' .. config_id, ids)
end
for status, count in pairs(taken) do
  if count > 0 then
    call('LTRIM', ENDED .. status, count, -1)
  end
end
for source, status in pairs(aside_as) do
  call('HSET', ASIDE, source, status)
end
for source, others in pairs(followers) do
  if others == '' then
    call('HDEL', FOLLOWERS, source)
  else
    call('HSET', FOLLOWERS, source, others)
  end
end
if some_sources then
  in_groups(runs, function(...)
    call('HDEL', SOURCES, ...)
  end)
end
for _, one in ipairs(back) do
  call('HDEL', ASIDE, one[1])
  call('LPUSH', ENDED .. one[2], one[1])
end
for _, member in ipairs(old_decisions) do
  local config_id, first_ms, key = string.match(member, '^([^\t]*)\t([^\t]*)\t(.*)$')
  for _, record in ipairs(call('ZRANGEBYSCORE', DECISION .. config_id, first_ms, first_ms)) do
    if decision_key(record) == key then
      forget_decision(config_id, first_ms, record)
    end
  end
end
remove(DECISIONS, old_decisions)
remove(MISSED, old_marks)

local function later(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)%-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)%-(%d+)$')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms > b_ms or (a_ms == b_ms and tonumber(a_seq) > tonumber(b_seq))
end
local unread = 0
for _, entry in ipairs(first) do
  if later(entry[1], cursor) then
    unread = unread + 1
  end
end
if surplus > 0 then
  call('XTRIM', EVENTS, 'MAXLEN', call('XLEN', EVENTS) - surplus)
end
if unread > 0 then
  note('gap', fence, '{"dropped":' .. unread .. '}')
end
local count = math.min(#forgotten, limit)
for i = 1, count do
  local id = forgotten[i]
  call('HDEL', WORKERS, id)
  call('ZREM', BEATS, id)
  call('SREM', DRAINING, id, '!' .. id)
  call('SREM', STALLED, id)
  call('DEL', LANES .. id, POOL .. id, P .. 'bell:' .. id)
  note('worker', fence, '{"worker":"' .. id .. '","act":"forgotten"}')
end
local more = full or #back > 0 or #old_decisions == limit or surplus == limit or count == limit
return done('OK', left + #old_decisions + surplus + count, more and 1 or 0)
