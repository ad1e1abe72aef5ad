-- use: workers tasks limits
-- ARGV: "id id id"
local found = {}
for id in string.gmatch(ARGV[2], '[^ ]+') do
  push(found, record_of(id) or '')
end
begin()
return done('OK', found)
