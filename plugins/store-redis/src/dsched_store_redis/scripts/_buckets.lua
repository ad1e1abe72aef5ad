-- Limits, and their tokens. limit:detail: id -> its record, "most" or "most rate burst us-a-token size"
-- with '-' for what is none; limit:full: name -> when (us of store time) its bucket is full, if it is not.
local LIMIT = P .. 'limit:'
local now_us = now * 1000

-- The numbers that hold for a name: most (nil: any), us a token and size of the bucket (nil: no rate), and
-- when it is full. Read once a step.
local in_force = {}
local function numbers_of(name)
  local found = in_force[name]
  if not found then
    local text = call('HGET', LIMIT .. 'detail', name)
      or call('HGET', LIMIT .. 'detail', string.match(name, '^[^:]*')) or ''
    local most, rest = string.match(text, '^(%S*)(.*)$')
    local token, size = string.match(rest, ' (%d+) (%d+)$')
    found = { most = tonumber(most), token = tonumber(token), size = tonumber(size), full = 0 }
    if token then
      found.full = tonumber(call('ZSCORE', LIMIT .. 'full', name) or '0')
    end
    in_force[name] = found
  end
  return found
end

local function tokens_left(name)
  local one = numbers_of(name)
  if not one.token then
    return math.huge
  end
  local owed = math.max(0, one.full - now_us)
  return math.max(0, math.floor((one.size * one.token - owed) / one.token))
end

-- When (us) there is one token more; nil: there are all, or none is needed.
local function next_token(name)
  local one, left = numbers_of(name), tokens_left(name)
  return one.token and left < one.size and one.full - (one.size - left - 1) * one.token or nil
end

-- Takes a token, or puts one back if it fits; write_buckets() says so to the server.
local function move_tokens(names, take)
  for _, name in ipairs(names) do
    local one = numbers_of(name)
    if one.token and take then
      one.full = math.max(one.full, now_us) + one.token
    elseif one.token then
      one.full = one.full - one.token
    end
  end
end

local function write_buckets(names)
  for _, name in ipairs(names) do
    local full = numbers_of(name).full
    if full > now_us then
      call('ZADD', LIMIT .. 'full', int(full), name)
      call('ZADD', LIMIT .. 'names', '0', name)
    elseif full ~= 0 then
      call('ZREM', LIMIT .. 'full', name)
    end
  end
end
