-- use: terms
-- ARGV: fence
local refused = fenced(ARGV[2])
if refused then
  return refused
end
call('LLEN', TERMS)
begin()
call('DEL', LEADER)
call('HDEL', META, 'until')
end_term('resigned', '""', '""')
note('leader', ARGV[2], '{"act":"resigned"}')
ring('election')
return done('OK')
