-- use: tasks lines
-- ARGV: id, number of the last line read, how many more, result ttl
local id, after, most, ttl = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local row = detail(id)
if not row or (row.end_time and ms_of(row.end_time) + ttl <= wall) then
  begin()
  return done('UNKNOWN')
end
local counts = counts_of(id)
local head, tail = {}, {}
if row.lines then
  call('LLEN', HEAD .. id)
  call('LLEN', TAIL .. id)
  head = call('LRANGE', HEAD .. id, after, after + most - 1)
end
local first = math.max(0, after + 1 - counts.tail)
if row.lines and #head < most then
  tail = call('LRANGE', TAIL .. id, first, first + most - #head - 1)
end
begin()
return done('OK', TERMINAL[row.status] and 1 or 0, after + 1, head, counts.tail + first, tail)
