-- use: workers tasks requeue
-- ARGV: worker, incarnation, capacity, backlog, timeout, head, max_workers, ability, its names
local id, incarnation, capacity, timeout, head = ARGV[2], ARGV[3], ARGV[4], ARGV[6], ARGV[7]
probe_workers()
probe_tasks()
call('HLEN', LANES .. id)
call('SCARD', LEASES .. id)
call('HLEN', ABILITY)
local old = worker_of(id)
local same = old and old.incarnation == incarnation
local rows = {}
if not old and call('HLEN', WORKERS) >= tonumber(ARGV[8]) then
  begin()
  return done('CROWDED')
end
if old and not same then
  if not may_replace(old, incarnation) then
    begin()
    return done('SUPERSEDED')
  end
  rows = queue_rows(id)
end
-- It may have been resized since it first said how many it runs at once.
if same then
  capacity = int(old.capacity)
  head = string.gsub(head, ',"capacity":%d+,"id":', ',"capacity":' .. capacity .. ',"id":', 1)
end
begin()
if old and not same then
  requeue_all(rows, id, id)
  -- As many as it ran: the capacity bounds it; 100 at a time bounds each command.
  local running = call('SMEMBERS', LEASES .. id)
  for first = 1, #running, 100 do
    local over = {}
    for i = first, math.min(first + 99, #running) do
      push(over, now_text, running[i])
    end
    call('ZADD', LEASE, 'XX', unpack(over))
  end
  note('worker', id, '{"worker":"' .. id .. '","act":"superseded"}')
end
if not same then
  call('DEL', LANES .. id)
  call('SREM', DRAINING, id, '!' .. id)
  call('SREM', STALLED, id)
end
call('HSET', WORKERS, id,
  incarnation .. '\n' .. capacity .. '\n' .. ARGV[5] .. '\n' .. timeout .. '\n' .. head)
call('ZADD', BEATS, now_text, id)
if ARGV[9] ~= (old and same and ability_of(old) or '') then
  wake('leader')
end
-- What no worker says any more goes when something new comes.
if ARGV[9] ~= '' and call('HSETNX', ABILITY, ARGV[9], ARGV[10]) == 1 then
  local used, details = {}, call('HGETALL', WORKERS)
  for i = 1, #details, 2 do
    local digest = string.match(details[i + 1], '^[^\n]*\n%d+\n%d+\n%d+\n{"ability":"([^"]*)"')
    used[digest or ''] = true
  end
  local kept = call('HGETALL', ABILITY)
  for i = 1, #kept, 2 do
    if not used[kept[i]] then
      call('HDEL', ABILITY, kept[i])
    end
  end
end
publish(worker_of(id))
note('worker', id, '{"worker":"' .. id .. '","act":"registered"}')
return done('OK')
