-- use: tasks promote
-- ARGV: fence, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_tasks()
local found = delayed_due(ARGV[3])
begin()
local count, next_in = promote(found)
if count > 0 then
  wake('leader')
end
return done('OK', count, next_in)
