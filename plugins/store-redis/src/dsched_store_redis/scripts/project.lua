-- use: tasks configs facts
-- ARGV: fence, after, upto, decisions "config, first, last, at, verdict, reason, record",
-- finished "id, status, end", updates "config, first, worker (JSON), end (JSON)",
-- rollups "config, hour, adds, tops" (each "name number name number"), most decisions a config,
-- most of anything, ms that statistics are kept, streaks "config, anew, failures, last (JSON)"
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe('ZCARD', 'decision:index', 'finished:status:success', 'finished:status:failed',
  'finished:status:cancelled')
local decisions, finished, updates, rollups = {}, {}, {}, {}
for config_id, first_ms, last_ms, at_ms, verdict, reason, record in string.gmatch(ARGV[5],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  call('ZCARD', DECISION .. config_id)
  call('HLEN', FATE .. config_id)
  push(decisions, { config_id = config_id, first_ms = first_ms, last_ms = last_ms, at_ms = at_ms,
    verdict = verdict, key = verdict .. '\t' .. reason, record = record })
end
for id, status, end_ms in string.gmatch(ARGV[6], '([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  -- Members of runs are on the list of no config.
  local config_id = not string.find(id, '~', 1, true) and string.match(id, '^([^@]*)@')
  if config_id then
    call('ZCARD', P .. 'finished:config:' .. config_id)
  end
  push(finished, { id, status, end_ms, config_id })
end
for config_id, first_ms, worker, ended in string.gmatch(ARGV[7],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  call('ZCARD', DECISION .. config_id)
  call('HLEN', FATE .. config_id)
  push(updates, { config_id, first_ms, worker, ended })
end
for config_id, hour_ms, adds, tops in string.gmatch(ARGV[8],
  '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local key = P .. 'stats:' .. config_id .. ':' .. hour_ms
  push(rollups, { key, adds, tops, call('HLEN', key) == 0 })
end
local streaks = {}
-- Most stores have no config that counts its failures.
if call('HLEN', COUNTED) > 0 then
  probe('ZCARD', 'config:due')
  for config_id, anew, failures, last in string.gmatch(ARGV[12],
    '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
    local most = call('HGET', COUNTED, config_id)
    if most then
      push(streaks, { row = config_of(config_id), most = tonumber(most), anew = anew ~= '',
        failures = tonumber(failures), last = last })
    end
  end
end
begin()
if (call('HGET', META, 'cursor') or '0-0') ~= ARGV[3] then
  return done('MOVED')
end
local most = tonumber(ARGV[10])

local function missed_at(config_id, first_ms, member)
  local index = config_id .. '\t' .. first_ms .. '\t' .. decision_key(member)
  return tonumber(call('ZSCORE', DECISIONS, index) or '0')
end

-- What is kept at an instant: whether this very decision is, whether its fire is, and its misses.
local function look(one)
  local known, fired, missed = false, false, {}
  for _, member in ipairs(call('ZRANGEBYSCORE', DECISION .. one.config_id, one.first_ms,
    one.first_ms)) do
    local key = decision_key(member)
    known = known or key == one.key
    fired = fired or key == 'fired\t'
    if string.sub(key, 1, 7) == 'missed\t' then
      push(missed, { one.first_ms, member })
    end
  end
  return known, fired, missed
end

local function misses_in(one)
  local missed = {}
  local found = call('ZRANGEBYSCORE', DECISION .. one.config_id, one.first_ms, one.last_ms,
    'WITHSCORES')
  for i = 1, #found, 2 do
    if string.sub(found[i], 1, 7) == 'missed\t' and #missed < most then
      push(missed, { int(tonumber(found[i + 1])), found[i] })
    end
  end
  return missed
end

local grown = {}
local function decide(one)
  local known, fired, missed = look(one)
  if known or (one.verdict == 'missed' and fired) then
    return
  end
  if one.verdict ~= 'missed' then
    if one.first_ms ~= one.last_ms then
      missed = misses_in(one)
    end
    local latest = nil
    for _, miss in ipairs(missed) do
      latest = math.max(latest or -math.huge, missed_at(one.config_id, miss[1], miss[2]))
      forget_decision(one.config_id, miss[1], miss[2])
    end
    if latest then
      call('HSET', FATE .. one.config_id, 'm' .. one.first_ms .. '\t' .. one.key, int(latest))
    end
  end
  call('ZADD', DECISION .. one.config_id, one.first_ms, one.key .. '\t' .. one.record)
  call('ZADD', DECISIONS, one.at_ms, one.config_id .. '\t' .. one.first_ms .. '\t' .. one.key)
  grown[one.config_id] = true
end

local function follow(config_id, first_ms, worker, ended)
  local one = { config_id = config_id, first_ms = first_ms, key = 'fired\t' }
  if not look(one) then
    return
  end
  local suffix, set = first_ms .. '\tfired\t', {}
  if worker ~= '' then
    push(set, 'w' .. suffix, worker)
  end
  if ended ~= '' then
    push(set, 'e' .. suffix, ended)
  end
  if #set > 0 then
    call('HSET', FATE .. config_id, unpack(set))
  end
end

-- Counts failures in a row. A config that has had enough is named, so that the leader pauses it.
local function count(one)
  local row, id = one.row, one.row.id
  local fails = one.failures + (one.anew and 0 or tonumber(row.fails or '0'))
  local last = one.last ~= '' and one.last or not one.anew and row.failed or '""'
  if fails > 0 then
    call('HSET', CONFIG .. id, 'fails', int(fails), 'failed', last)
  elseif row.fails then
    call('HDEL', CONFIG .. id, 'fails', 'failed')
  end
  if fails >= one.most and not row.paused and row.due then
    set_due_and_wake(id, named_now(id, row.due))
  end
end

local kept_ms = tonumber(ARGV[11])
local function add(key, adds, tops, new)
  for name, number in string.gmatch(adds, '(%w+) (%d+)') do
    call('HINCRBY', key, name, number)
  end
  for name, number in string.gmatch(tops, '(%w+) (%d+)') do
    if tonumber(call('HGET', key, name) or '-1') < tonumber(number) then
      call('HSET', key, name, number)
    end
  end
  if new then
    call('PEXPIRE', key, int(px(kept_ms + 3600000)))
  end
end

for _, one in ipairs(decisions) do
  decide(one)
end
for _, update in ipairs(updates) do
  follow(update[1], update[2], update[3], update[4])
end
local by_status = {}
for _, item in ipairs(finished) do
  local id, status, end_ms, config_id = unpack(item)
  by_status[status] = by_status[status] or {}
  push(by_status[status], end_ms, id)
  if config_id then
    call('ZADD', P .. 'finished:config:' .. config_id, 'NX', end_ms, id)
  end
end
for status, members in pairs(by_status) do
  for at = 1, #members, 200 do
    call('ZADD', P .. 'finished:status:' .. status, 'NX',
      unpack(members, at, math.min(at + 199, #members)))
  end
end
for _, rollup in ipairs(rollups) do
  add(rollup[1], rollup[2], rollup[3], rollup[4])
end
for _, one in ipairs(streaks) do
  count(one)
end
for config_id in pairs(grown) do
  local kept = DECISION .. config_id
  local surplus = math.min(call('ZCARD', kept) - tonumber(ARGV[9]), most)
  if surplus > 0 then
    local found = call('ZRANGE', kept, 0, surplus - 1, 'WITHSCORES')
    for i = 1, #found, 2 do
      forget_decision(config_id, int(tonumber(found[i + 1])), found[i])
    end
  end
end
call('HSET', META, 'cursor', ARGV[4])
return done('OK')
