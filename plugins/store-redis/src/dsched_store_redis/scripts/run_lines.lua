-- use: tasks
-- ARGV: run, after, limit, ttl by outcome
local row = detail(ARGV[2])
local lines = false
if row and row.run and not past_its_time(row, ARGV[5]) then
  local after = tonumber(ARGV[3])
  lines = call('LRANGE', RUN_LOG .. row.id, after, after + tonumber(ARGV[4]) - 1)
end
begin()
return done('OK', lines and 1 or 0, lines or {})
