-- use: log
-- ARGV: fence, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
local cursor = call('HGET', META, 'cursor') or '0-0'
local entries, more = log_after(cursor, ARGV[3])
begin()
return done('OK', cursor, entries, more)
