-- use: pods
-- ARGV: most pods
probe_pods()
local rows = {}
for _, id in ipairs(call('ZRANGEBYSCORE', PODS, '(' .. now_text, '+inf', 'LIMIT', 0, ARGV[2])) do
  push(rows, call('HGET', POD, id))
end
begin()
return done('OK', rows)
