-- use: tasks
-- ARGV: id, number of the last line read, how many more, ttl by outcome
local id, ttl = ARGV[2], ARGV[5]
local row = detail(id)
if not row or past_its_time(row, ttl) then
  begin()
  return done('UNKNOWN')
end
local found = {}
if row.lines then
  found = call('ZRANGEBYSCORE', LINES .. id, '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[4])
end
begin()
return done('OK', TERMINAL[row.status] and 1 or 0, found)
