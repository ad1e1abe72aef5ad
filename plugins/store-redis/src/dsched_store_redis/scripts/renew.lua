-- ARGV: fence, ttl
local refused = fenced(ARGV[2])
if refused then
  return refused
end
begin()
call('HSET', META, 'until', int(now + tonumber(ARGV[3])))
call('PEXPIRE', LEADER, px(tonumber(ARGV[3])))
return done('OK')
