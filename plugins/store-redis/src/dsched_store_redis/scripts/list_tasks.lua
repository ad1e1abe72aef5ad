-- use: tasks rows
-- ARGV: kind of index, key, start, limit, result ttl
local kind, start, limit = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local key, stop = P .. ARGV[3], start + limit
local ids
if kind == 'list' then
  ids = call('LRANGE', key, start, stop)
elseif kind == 'newest' then
  ids = call('ZREVRANGE', key, start, stop)
else
  ids = call('ZRANGE', key, start, stop)
end
if ids[#ids] == GUARD then
  ids[#ids] = nil
end
local rows = {}
for i = 1, math.min(#ids, limit) do
  rows[i] = task_row(ids[i], ARGV[6], false, false)
end
begin()
return done('OK', rows, #ids > limit and 1 or 0)
