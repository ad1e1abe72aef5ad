-- use: workers tasks configs promote page due
-- ARGV: fence, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_workers()
probe_tasks()
local found = delayed_due(ARGV[3])
local rows, next_due = due_configs(ARGV[3])
begin()
local count, next_in = promote(found)
return done('OK', count, next_in, time_row(), rows, next_due, ready_page(0, tonumber(ARGV[3])))
