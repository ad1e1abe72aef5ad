-- ARGV: fence
local refused = fenced(ARGV[2])
if refused then
  return refused
end
begin()
call('DEL', LEADER)
call('HDEL', META, 'until')
note('leader', ARGV[2], '{"act":"resigned"}')
ring('election')
return done('OK')
