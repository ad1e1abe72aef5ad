-- use: tasks rows
-- ARGV: kind of index, key, start, limit, result ttl; of a list of ended tasks the end from which on
-- and the end before which
local kind, start, limit = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local key, stop = P .. ARGV[3], start + limit
local ids
if kind == 'list' then
  ids = call('LRANGE', key, start, stop)
elseif kind == 'newest' and ARGV[7] == '' and ARGV[8] == '' then
  ids = call('ZREVRANGE', key, start, stop)
elseif kind == 'newest' then
  local least = ARGV[7] == '' and '-inf' or ARGV[7]
  local below = ARGV[8] == '' and '+inf' or '(' .. ARGV[8]
  ids = call('ZRANGE', key, below, least, 'BYSCORE', 'REV', 'LIMIT', start, limit + 1)
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
