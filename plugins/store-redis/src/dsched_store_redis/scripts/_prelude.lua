-- What every step starts with: keys, one reading of the clock, the log, the wake-ups.
-- A script reads and checks first, calls begin() once, and only then writes.
local call = redis.call
local META = KEYS[1]
local P = string.sub(META, 1, -5)
local LEADER = P .. 'schedule:leader'
local EVENTS = P .. 'events'

-- Kept: most numbers of a batch are the same.
local ints = {}
local function int(number)
  local text = ints[number]
  if not text then
    text = string.format('%.0f', number)
    ints[number] = text
  end
  return text
end

-- Appends up to eight values. Spelt out: with varargs it is the most costly line of a batch.
local function push(list, a, b, c, d, e, f, g, h)
  local n = #list
  list[n + 1] = a
  if b ~= nil then
    list[n + 2] = b
    if c ~= nil then
      list[n + 3], list[n + 4], list[n + 5], list[n + 6], list[n + 7], list[n + 8] = c, d, e, f, g, h
    end
  end
end

local stored = call('HMGET', META, 'offset', 'mark', 'gen', 'format', 'until', 'limited')
local store_format = stored[4]
if not store_format or not string.find('@FORMATS@', store_format .. '\n', 1, true) then
  return redis.error_reply(stored[4] and 'DSCHEDFORMAT ' .. stored[4] or 'DSCHEDGONE the store is gone')
end
call('XLEN', EVENTS)

-- Store time: the wall made monotone by an offset and the highest time given.
local wall, fraction = wall_clock()
local offset, gen = tonumber(stored[1] or '0'), tonumber(stored[3] or '0')
local mark = tonumber(stored[2] or '0')
local lock_until = tonumber(stored[5] or '')
local now = wall + offset
local behind = mark - now
if behind > 1000 then
  offset = offset + behind
  gen = gen + 1
end
if behind > 0 then
  now, fraction = mark, 0
end
local wall_text, now_text = int(wall), int(now)

-- The log: items gathered by kind, one entry a kind, in the contract's order.
local FIRST = { 'clock_back', 'skipped', 'fired', 'cancelled', 'cancel_requested', 'recalled' }
local kinds, notes = {}, {}

local function note(kind, by, item)
  local gathered = notes[kind]
  if not gathered then
    gathered = { by }
    notes[kind] = gathered
    kinds[#kinds + 1] = kind
  end
  gathered[#gathered + 1] = item
end

local to_wake = {}
local function wake(who)
  to_wake[who] = true
end

-- The first write of a step: a server out of memory refuses it before anything has changed.
local function begin()
  if behind > 1000 then
    call('HSET', META, 'mark', now_text, 'offset', int(offset), 'gen', int(gen))
    note('clock_back', 'store', '{"back":' .. int(behind) .. ',"gen":' .. int(gen) .. '}')
  else
    call('HSET', META, 'mark', now_text)
  end
end

local newest = nil
local function write_entry(kind)
  local gathered = notes[kind]
  if gathered then
    local items = '[' .. table.concat(gathered, ',', 2) .. ']'
    newest = call('XADD', EVENTS, '*', 'k', kind, 't', wall_text, 'b', gathered[1], 'i', items)
    notes[kind] = nil
  end
end

local closing = {}

-- The end of every step: entries, wake-ups, and the answer with the caller's nonce.
-- A wake-up is a list of one entry that lives a minute: it carries no data.
local function done(...)
  for _, act in ipairs(closing) do
    act()
  end
  for _, kind in ipairs(FIRST) do
    write_entry(kind)
  end
  for _, kind in ipairs(kinds) do
    write_entry(kind)
  end
  if newest then
    call('HSET', META, 'end', newest .. ' ' .. wall_text)
  end
  for who in pairs(to_wake) do
    local key = P .. 'bell:' .. who
    call('DEL', key)
    call('RPUSH', key, '1')
    call('PEXPIRE', key, 60000)
  end
  return { ARGV[1], ... }
end

local function time_row()
  return wall_text .. ' ' .. now_text .. ' ' .. int(gen) .. ' ' .. (fraction or 0)
end

-- The fence of the current term; a lock past its time in the store's clock is none.
local function holder()
  local fence = call('GET', LEADER)
  if fence and lock_until and lock_until <= now then
    return false
  end
  return fence
end

local function fenced(fence)
  local held = holder()
  if held == fence then
    return nil
  end
  begin()
  return done('FENCED', held or '')
end

local function probe(command, ...)
  for i = 1, select('#', ...) do
    call(command, P .. select(i, ...))
  end
end

-- Texts arrive as JSON strings. Kept: without quotes where nothing is escaped, else as they are.
local function plain(json)
  if string.find(json, '\\', 1, true) then
    return json
  end
  return string.sub(json, 2, -2)
end

local function quoted(text)
  if string.byte(text) == 34 then
    return text
  end
  return '"' .. text .. '"'
end
