-- use: tasks rows
-- ARGV: "id id id", 1 for snapshot and result too, ttl by outcome
local rows = {}
for id in string.gmatch(ARGV[2], '[^ ]+') do
  rows[#rows + 1] = task_row(id, ARGV[4], ARGV[3] == '1', false)
end
begin()
return done('OK', rows)
