-- use: log
-- ARGV: cursor or empty, limit
local entries, more = log_after(ARGV[2], ARGV[3])
begin()
return done('OK', entries, more)
