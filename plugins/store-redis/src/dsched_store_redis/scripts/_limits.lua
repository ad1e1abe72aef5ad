-- Limits. limit:detail: id -> how many may hold a place; limit:held: name -> how many do; limit:names:
-- what is in use, all at score 0; limit:tasks:{name}: what waits under it, at the scores of task:ready
-- that it will have; limit:open: names under which something waits and which may have room.
local function record_of(id)
  return call('HGET', LIMIT .. 'detail', id)
end

-- How many more may hold a place.
local function room_of(name)
  local most = record_of(name) or record_of(string.match(name, '^[^:]*'))
  return (tonumber(most or '') or math.huge) - tonumber(call('HGET', LIMIT .. 'held', name) or '0')
end

-- Lets go what waits under one limit, at most so many; how many went.
local function let_go_of(name, most)
  local room, went, back = room_of(name), 0, {}
  local tasks = LIMIT .. 'tasks:' .. name
  local found = room > 0 and most > 0 and call('ZRANGE', tasks, 0, most - 1, 'WITHSCORES') or {}
  for i = 1, #found, 2 do
    if room <= 0 then
      break
    end
    local id = found[i]
    call('ZREM', tasks, id)
    call('ZREM', LATE, id)
    local score, waits = ready_place(id, int(tonumber(found[i + 1])), nil, name)
    push(back, score, id)
    went = went + 1
    room = waits and room or room - 1
  end
  if went > 0 then
    call('ZADD', READY, unpack(back))
  end
  if room <= 0 then
    call('ZREM', LIMIT .. 'open', name)
  end
  if not waits_under(name) then
    call('ZREM', LIMIT .. 'open', name)
    forget_use(name)
  end
  return went
end

local function let_go(most_limits, most)
  if not some_limits then
    return
  end
  local left = tonumber(most)
  local names = call('ZRANGE', LIMIT .. 'open', 0, tonumber(most_limits) - 1)
  for _, name in ipairs(names) do
    left = left - let_go_of(name, left)
  end
  if #names > 0 and call('ZCARD', LIMIT .. 'open') > 0 then
    wake('leader')
  end
end

-- A limit and its instances among what is in use, after a name, at most so many.
local function uses_of(of, after, most)
  local found = {}
  if after < of and call('ZSCORE', LIMIT .. 'names', of) then
    push(found, of)
  end
  local low = '[' .. of .. ':'
  if after >= of .. ':' then
    low = '(' .. after
  end
  local rest = call('ZRANGEBYLEX', LIMIT .. 'names', low, '(' .. of .. ';', 'LIMIT', 0, most)
  for _, name in ipairs(rest) do
    push(found, name)
  end
  return found
end

-- The record of a limit has changed: what waits under it may go.
local function limit_changed(id)
  may_open(uses_of(id, '', 100000))
end
