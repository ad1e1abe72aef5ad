-- The first step of every handle: give a new store its format, refuse another one.
-- Assembled without the prelude, which wants the format to be there already.
redis.call('HSETNX', KEYS[1], 'format', '@FORMAT@')
return { ARGV[1], redis.call('HGET', KEYS[1], 'format') }
