-- Classes of ready tasks that nobody can run now, from format 4 on. What waits under one stays in
-- task:ready, by BEHIND further back, and is in the set of its class at the score that it will have.
-- class:detail: text -> "number reason since"; class:index: the texts; class:full: those that are
-- full; class:late: what waits and was never claimed, by its start deadline.
local SHUT_INDEX = P .. 'class:index'

local function probe_classes()
  if has_classes then
    probe('ZCARD', 'class:index', 'class:late')
    probe('SCARD', 'class:full')
  end
end

local function class_number(text)
  local stored = call('HGET', SHUT, text)
  if stored then
    local n, blocked = string.match(stored, '^(%d+) (%a+)')
    return n, blocked
  end
  return nil
end

-- A script has room for 200 local variables: what only one function needs is not seen outside.
local shut_classes, let_out
do
local function shut_one(text, blocked)
  local stored = call('HGET', SHUT, text)
  local n, before, since
  if stored then
    n, before, since = string.match(stored, '^(%d+) (%a+) (%-?%d+)$')
    if before == blocked then
      return
    end
    local waiting = call('ZCARD', UNDER .. n)
    nobody_by(before, -waiting)
    nobody_by(blocked, waiting)
    since = wall_text
  else
    n, since = int(call('HINCRBY', META, 'classes', 1)), wall_text
    call('ZADD', SHUT_INDEX, '0', text)
  end
  call('HSET', SHUT, text, n .. ' ' .. blocked .. ' ' .. since)
  if blocked == 'full' then
    call('SADD', FULL_CLASSES, text)
  elseif stored then
    call('SREM', FULL_CLASSES, text)
  end
end

-- Of the first open tasks those that belong to shut classes wait under them from now on. A class is
-- asked for once, and takes all of its tasks at once.
local function sweep(most)
  local flat = call('ZRANGEBYSCORE', READY, '-inf', OPEN_TO, 'WITHSCORES', 'LIMIT', 0, most)
  if #flat == 0 or not some_routes then
    return
  end
  local ids = {}
  for i = 1, #flat, 2 do
    push(ids, flat[i])
  end
  local routes = call('HMGET', ROUTE, unpack(ids))
  local latest = some_deadlines and call('HMGET', DEADLINE, unpack(ids)) or {}
  local classes, found, behind, late = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local route = routes[i]
    local class = route and classes[route]
    if route and class == nil then
      local n, blocked = shut_class_of(id, route)
      class = n and { n = n, blocked = blocked, flat = {} } or false
      classes[route] = class
      push(found, class or nil)
    end
    local name = some_limits and shut_limit(route or nil)
    if name then
      wait_under(name, id, flat[2 * i])
      touched[name] = true
      push(behind, int(tonumber(flat[2 * i]) + BEHIND), id)
      -- One that was let go and comes back may leave room for which the others wait.
      may_open(limits_in(route), room_of(name) <= 0 and name)
    elseif class then
      push(class.flat, flat[2 * i], id)
      push(behind, int(tonumber(flat[2 * i]) + BEHIND), id)
      if latest[i] then
        push(late, latest[i], id)
      end
    end
  end
  for _, class in ipairs(found) do
    for first = 1, #class.flat, 200 do
      local last = math.min(first + 199, #class.flat)
      nobody_by(class.blocked, call('ZADD', UNDER .. class.n, unpack(class.flat, first, last)))
    end
  end
  for first = 1, #behind, 200 do
    call('ZADD', READY, unpack(behind, first, math.min(first + 199, #behind)))
  end
  for first = 1, #late, 200 do
    call('ZADD', LATE, unpack(late, first, math.min(first + 199, #late)))
  end
end

-- text: lines "class, reason"; limited: a limit has refused something
function shut_classes(text, most, limited)
  if text == '' and not limited then
    return
  end
  for class, blocked in string.gmatch(text, '(%C*)\t(%C*)\n') do
    shut_one(class, blocked)
  end
  some_shut = some_shut or text ~= ''
  sweep(most)
end
end

do
-- The best of some classes: of the first of each the best, again and again.
local function let_one(limit, above, texts)
  local heads, least = {}, (9 - above) * 1e13 - 1e12
  local function head(n, at, blocked)
    local found = call('ZRANGE', UNDER .. n, at, at, 'WITHSCORES')
    local score = tonumber(found[2])
    return score and score < least and {
      n = n, at = at, id = found[1], score = score, blocked = blocked }
  end
  for text in string.gmatch(texts, '[^\t]+') do
    local n, blocked = class_number(text)
    local first = n and head(n, 0, blocked)
    if first then
      push(heads, first)
    end
  end
  local out, left = {}, {}
  while #heads > 0 and #left < limit do
    local best = 1
    for i = 2, #heads do
      local one, other = heads[i], heads[best]
      if one.score < other.score or (one.score == other.score and one.id < other.id) then
        best = i
      end
    end
    local one = heads[best]
    push(left, one)
    heads[best] = head(one.n, one.at + 1, one.blocked)
    if not heads[best] then
      table.remove(heads, best)
    end
  end
  for _, one in ipairs(left) do
    nobody_by(one.blocked, -call('ZREM', UNDER .. one.n, one.id))
    call('ZREM', LATE, one.id)
    local score = int(one.score)
    local name = some_limits and shut_limit(route_of(one.id))
    if name then
      wait_under(name, one.id, score)
      score = int(one.score + BEHIND)
    end
    push(out, score, one.id)
  end
  if #left > 0 then
    call('ZADD', READY, unpack(out))
    wake('leader')
  end
end

-- text: lines "limit, above which priority, class, class, ..."; the classes that are shut no more.
function let_out(text)
  local opened = {}
  for limit, above, texts in string.gmatch(text, '(%d+)\t(%-?%d+)\t([^\n]*)\n') do
    let_one(tonumber(limit), tonumber(above), texts)
  end
  for texts in string.gmatch(text, '%d+\t%-?%d+\t([^\n]*)\n') do
    for class in string.gmatch(texts, '[^\t]+') do
      local n = class_number(class)
      if n and call('ZCARD', UNDER .. n) == 0 then
        call('HDEL', SHUT, class)
        call('ZREM', SHUT_INDEX, class)
        call('SREM', FULL_CLASSES, class)
        push(opened, class)
      end
    end
  end
  return opened
end
end
