-- use: terms
-- ARGV: pod, token, ttl, floor of the epoch
local pod, token, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
local fence = holder()
local epoch = call('GET', P .. 'schedule:epoch')
local rest = call('HMGET', META, 'rest_pod', 'rest_until')
call('LLEN', TERMS)
begin()
if fence then
  if string.match(fence, '^[^:]*:([^:]*)') == token then
    return done('OK', fence)
  end
  if not lock_until or lock_until > now + ttl + 1000 then
    call('HSET', META, 'until', int(now + ttl))
  end
  local left = call('PTTL', LEADER)
  if left < 0 or left > px(ttl + 1000) then
    call('PEXPIRE', LEADER, px(ttl))
  end
  return done('TAKEN', fence)
end
if rest[1] == pod and now < tonumber(rest[2]) then
  return done('RESTING', '')
end
call('HDEL', META, 'rest_pod', 'rest_until')
local next_epoch = int(math.max(tonumber(epoch or '0') + 1, now, tonumber(ARGV[5])))
fence = next_epoch .. ':' .. token .. ':' .. pod
call('SET', P .. 'schedule:epoch', next_epoch)
call('SET', LEADER, fence, 'PX', px(ttl))
call('HSET', META, 'until', int(now + ttl))
begin_term(next_epoch, pod)
note('leader', fence, '{"act":"acquired"}')
return done('OK', fence)
