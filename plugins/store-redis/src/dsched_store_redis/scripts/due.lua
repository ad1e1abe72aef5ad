-- use: tasks configs due
-- ARGV: fence, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
local rows, next_due = due_configs(ARGV[3])
begin()
return done('OK', time_row(), rows, next_due)
