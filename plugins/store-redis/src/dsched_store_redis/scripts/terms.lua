-- use: terms
-- ARGV: epoch before which, limit
local before, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local rows = {}
for _, line in ipairs(call('LRANGE', TERMS, 0, 999)) do
  if #rows <= limit and (not before or tonumber(string.match(line, '^%d+')) < before) then
    push(rows, line)
  end
end
begin()
return done('OK', rows)
