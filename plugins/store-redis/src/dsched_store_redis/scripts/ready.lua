-- use: workers tasks page
-- ARGV: fence, skip, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
local page = ready_page(tonumber(ARGV[3]), tonumber(ARGV[4]))
begin()
return done('OK', page)
