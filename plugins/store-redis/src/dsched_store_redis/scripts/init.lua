-- The first step of every handle: give a new store its format, refuse another one.
-- Assembled without the prelude, which wants the format to be there already.
-- ARGV: an identity for a store that has none, 1 if it must be there already
local found = redis.call('HGET', KEYS[1], 'format')
if not found and ARGV[3] == '1' then
  return redis.error_reply('DSCHEDGONE the store is gone')
end
redis.call('HSETNX', KEYS[1], 'format', '@FORMAT@')
if not found or string.find('@FORMATS@', found .. '\n', 1, true) then
  redis.call('HSETNX', KEYS[1], 'identity', ARGV[2])
end
return { ARGV[1], redis.call('HGET', KEYS[1], 'format') }
