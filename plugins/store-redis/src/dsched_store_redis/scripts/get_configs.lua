-- use: tasks configs
-- ARGV: "id id id"
local rows = {}
for id in string.gmatch(ARGV[2], '[^ ]+') do
  rows[#rows + 1] = config_row(id)
end
begin()
return done('OK', rows)
