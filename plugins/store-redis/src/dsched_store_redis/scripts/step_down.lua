-- use: terms
-- ARGV: fence, who (JSON), why (JSON), rest
local refused = fenced(ARGV[2])
if refused then
  return refused
end
call('LLEN', TERMS)
begin()
call('DEL', LEADER)
call('HSET', META, 'until', now_text, 'rest_pod', string.match(ARGV[2], '^[^:]*:[^:]*:(.*)$'),
  'rest_until', int(now + tonumber(ARGV[5])))
end_term('stepped_down', ARGV[3], ARGV[4])
note('leader', ARGV[2],
  '{"act":"stepped_down","who":' .. ARGV[3] .. ',"why":' .. ARGV[4] .. '}')
wake('election')
wake('leader')
return done('OK')
