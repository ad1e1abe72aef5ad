-- use: terms
-- ARGV: fence
local refused = fenced(ARGV[2])
if refused then
  return refused
end
call('LLEN', TERMS)
begin()
call('DEL', LEADER)
call('HSET', META, 'until', now_text)
end_term('resigned', '""', '""')
note('leader', ARGV[2], '{"act":"resigned"}')
wake('election')
return done('OK')
