-- use: pods
-- ARGV: pod, ttl, record (JSON), most pods
local id = ARGV[2]
probe_pods()
begin()
call('ZADD', PODS, int(now + tonumber(ARGV[3])), id)
call('HSET', POD, id, wall_text .. '\t' .. ARGV[4])
local old = call('ZRANGEBYSCORE', PODS, '-inf', now_text, 'LIMIT', 0, 100)
local surplus = call('ZCARD', PODS) - #old - tonumber(ARGV[5])
if surplus > 0 then
  old = call('ZRANGE', PODS, 0, math.min(#old + surplus, 100) - 1)
end
if #old > 0 then
  call('ZREM', PODS, unpack(old))
  call('HDEL', POD, unpack(old))
end
return done('OK')
