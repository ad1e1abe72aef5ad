-- use: tasks sources
-- ARGV: fence (or empty), by, rows "id, priority, delay or @instant, start deadline (`run SOURCE SOURCE`: this is a
-- run, and takes over from others), route,
-- why (JSON)", snapshots
local refused = ARGV[2] ~= '' and fenced(ARGV[2])
if refused then
  return refused
end
local by = ARGV[3]
probe_tasks()
local snapshots = string.gmatch(ARGV[5], '([^\n]*)\n')
local asked, keys = {}, {}
for id, priority, delay, deadline, route, why in
  string.gmatch(ARGV[4], '(%C*)\t(%C*)\t(%C*)\t(%C*)\t([^\t]*)\t(%C*)\n') do
  push(asked, { id, priority, delay, deadline, route, snapshots(), why })
  push(keys, DETAIL .. id)
end
-- One question for all, since nearly always all of them are new.
local all_new = #keys == 0 or call('EXISTS', unpack(keys)) == 0
local function judge(id, body)
  local row = detail(id)
  if not row then
    return 'OK'
  end
  return (row.spec or call('GET', BODY .. id)) == body and 'DUP' or 'CONFLICT'
end
local items, outcomes = {}, {}
for i, item in ipairs(asked) do
  outcomes[i] = all_new and 'OK' or judge(item[1], item[6])
  local sources = string.match(item[4], '^run (.+)$')
  if sources then
    probe_sources()
    item[8], item[4] = sources, 'run'
    if outcomes[i] == 'OK' and not sources_there(sources) then
      outcomes[i] = 'UNKNOWN'
    end
  end
  if outcomes[i] == 'OK' then
    push(items, item)
    if item[4] == 'run' then
      probe_run(item[1])
    end
  end
end
begin()
local new, ready, delayed, latest, routed, demands = {}, {}, {}, {}, {}, {}
local usual = int(4e13 + wall)
for _, item in ipairs(items) do
  local id, priority, delay, deadline, route, body, why, sources = unpack(item)
  local at = string.match(delay, '^@(.*)')
  delay = at and math.max(0, tonumber(at) - wall) or tonumber(delay)
  local scheduled = wall + delay
  local run = deadline == 'run' and '1' or nil
  push(new, new_task(id, int(scheduled), priority ~= '5' and priority or nil, body, run))
  if run then
    open_run(id, int(now + delay))
    if sources then
      follow_sources(id, sources)
    end
  elseif delay > 0 then
    push(delayed, int(now + delay), id)
  else
    push(ready, priority == '5' and usual or int((9 - tonumber(priority)) * 1e13 + wall), id)
    push(demands, route)
  end
  if deadline ~= '' and not run then
    push(latest, id, int(scheduled + tonumber(deadline)))
  end
  if route ~= '' then
    push(routed, id, route)
  end
  note('submitted', by, '{"task":"' .. id .. '"'
    .. (why ~= '""' and ',"why":' .. why or '') .. '}')
end
if #items > 0 then
  call('MSET', unpack(new))
end
if #delayed > 0 then
  call('ZADD', DELAYED, unpack(delayed))
  wake('leader')
end
if #latest > 0 then
  call('HSET', DEADLINE, unpack(latest))
end
if #routed > 0 then
  call('HSET', ROUTE, unpack(routed))
end
local waiting = 0
mark_limits(ARGV[4])
if some_shut or some_limits then
  some_routes = some_routes or #routed > 0
  some_deadlines = some_deadlines or #latest > 0
  for i, route in ipairs(demands) do
    if route ~= '' then
      local score, waits = ready_place(ready[2 * i], ready[2 * i - 1], route)
      ready[2 * i - 1] = score
      waiting = waiting + (waits and 1 or 0)
    end
  end
end
if #ready > 0 then
  call('ZADD', READY, unpack(ready))
  if waiting < #demands then
    wake('leader')
  end
end
return done('OK', table.concat(outcomes, ' '))
