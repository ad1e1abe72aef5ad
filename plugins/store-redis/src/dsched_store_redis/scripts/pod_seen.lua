-- use: pods
-- ARGV: pod, ttl, record (JSON), most pods, format that it knows
local id = ARGV[2]
probe_pods()
begin()
call('ZADD', PODS, int(now + tonumber(ARGV[3])), id)
call('HSET', POD, id, wall_text .. '\t' .. ARGV[4])
call('HSET', POD_FORMAT, id, ARGV[6])
local old = call('ZRANGEBYSCORE', PODS, '-inf', now_text, 'LIMIT', 0, 100)
local surplus = call('ZCARD', PODS) - #old - tonumber(ARGV[5])
if surplus > 0 then
  old = call('ZRANGE', PODS, 0, math.min(#old + surplus, 100) - 1)
end
forget_pods(old)
if call('HLEN', POD_FORMAT) > call('ZCARD', PODS) then
  -- A pod of 0.1.0 may have removed others, and does not know of these formats.
  local known = call('HGETALL', POD_FORMAT)
  for i = 1, #known, 2 do
    if not call('ZSCORE', PODS, known[i]) then
      call('HDEL', POD_FORMAT, known[i])
    end
  end
end
return done('OK')
