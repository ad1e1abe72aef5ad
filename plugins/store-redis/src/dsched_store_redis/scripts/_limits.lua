-- Limits. limit:held: name -> how many hold a place; limit:names: what is in use or lacks tokens, all at
-- score 0; limit:tasks:{name}: what waits under it, at the scores of task:ready that it will have;
-- limit:open: names under which something waits, by when they may have room. See _buckets.
local function record_of(id)
  return call('HGET', LIMIT .. 'detail', id)
end

-- How many more may hold a place.
local function places_left(name)
  local most = numbers_of(name).most
  return most and most - tonumber(call('HGET', LIMIT .. 'held', name) or '0') or math.huge
end

-- How many more may begin.
local function room_of(name)
  return math.min(places_left(name), tokens_left(name))
end

-- What this step has charged, or put something under.
local touched = {}

-- If only a token is what a name has no room for, it may have some when the next one comes.
local function expect(name)
  if not numbers_of(name).token or not waits_under(name) or places_left(name) <= 0 then
    return
  end
  local at = tonumber(call('ZSCORE', LIMIT .. 'open', name) or 'inf')
  if at > now then
    local coming = tokens_left(name) > 0 and now or math.ceil(next_token(name) / 1000)
    call('ZADD', LIMIT .. 'open', int(coming), name)
  end
end

-- Lets go what waits under one limit, at most so many; how many went.
local function let_go_of(name, most)
  local whole, went, back = room_of(name), 0, {}
  local room = whole
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
  forget_use(name)
  if whole <= 0 then
    expect(name)
  end
  return went
end

-- Forgets buckets that are full, at most so many; whether there may be more.
local function forget_full(most)
  local names = call('ZRANGEBYSCORE', LIMIT .. 'full', '-inf', int(now_us), 'LIMIT', 0, most)
  if #names > 0 then
    call('ZREM', LIMIT .. 'full', unpack(names))
  end
  for _, name in ipairs(names) do
    forget_use(name)
  end
  return #names == tonumber(most)
end

-- bounds: "limits tasks buckets", the most of each
local function let_go(bounds)
  if not some_limits then
    return
  end
  for name in pairs(touched) do
    expect(name)
  end
  local most_limits, left, most_full = string.match(bounds, '(%d+) (%d+) (%d+)')
  left = tonumber(left)
  local open = LIMIT .. 'open'
  local names = call('ZRANGEBYSCORE', open, '-inf', now_text, 'LIMIT', 0, most_limits)
  for _, name in ipairs(names) do
    left = left - let_go_of(name, left)
  end
  local more = forget_full(most_full)
  if more or #names > 0 and call('ZCOUNT', open, '-inf', now_text) > 0 then
    wake('leader')
  end
end

-- In how many ms the first limit may have room, '' if none will by time.
local function opens_in()
  local found = some_limits and call('ZRANGE', LIMIT .. 'open', 0, 0, 'WITHSCORES') or {}
  return found[2] and int(math.max(0, tonumber(found[2]) - now)) or ''
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

-- Those of a limit and its instances that lack tokens, with their numbers.
local function buckets_of(id)
  local found = {}
  for _, name in ipairs(uses_of(id, '', 100000)) do
    if call('ZSCORE', LIMIT .. 'full', name) then
      found[name] = numbers_of(name)
    end
  end
  return found
end

-- The record of a limit has changed. Buckets lack what they did before, to the thousandth of a token, and
-- go by the new pace; what waits under it may go.
local function limit_changed(id, before)
  in_force = {}
  for name, was in pairs(before) do
    local one = numbers_of(name)
    if one.token ~= was.token or one.size ~= was.size then
      local full = was.full
      if one.token and was.token and full > now_us then
        local lacks = math.ceil((full - now_us) * 1000 / was.token)
        one.full = now_us + math.ceil(math.min(lacks, one.size * 1000) * one.token / 1000)
      else
        one.full = now_us
      end
      call('ZREM', LIMIT .. 'full', name)
      write_buckets({ name })
      forget_use(name)
    end
  end
  may_open(uses_of(id, '', 100000))
end

-- Whether tasks hold places of a limit, or wait for them.
local function limit_used(id)
  for _, name in ipairs(uses_of(id, '', 100000)) do
    if call('HEXISTS', LIMIT .. 'held', name) == 1 or waits_under(name) then
      return true
    end
  end
  return false
end

-- The limit that a config has by its max_running. No colon: that begins an instance.
local function own_limit(config_id)
  return '~' .. string.gsub(config_id, ':', '~')
end

-- `most`: what the config is to have, as it says so; nil: no limit. `old`: the config as it was read.
local function probe_own_limit(id, old, most)
  if (old and old.most) ~= most then
    record_of(own_limit(id))
    uses_of(own_limit(id), '', 1)
    call('ZCARD', LIMIT .. 'open')
  end
end

local function set_own_limit(id, old, most)
  if (old and old.most) == most then
    return
  elseif most then
    call('HSET', LIMIT .. 'detail', own_limit(id), most)
  else
    call('HDEL', LIMIT .. 'detail', own_limit(id))
  end
  limit_changed(own_limit(id), {})
end
