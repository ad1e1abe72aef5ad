-- use: workers tasks limits
-- ARGV: id, how many may hold a place, most limits
local id, most = ARGV[2], ARGV[3]
probe_tasks()
local known, count = record_of(id), call('HLEN', LIMIT .. 'detail')
call('ZCARD', LIMIT .. 'index')
begin()
if not has_classes then
  return done('OK', 'OLDER')
elseif known == most then
  return done('OK', 'DUP')
elseif not known and count >= tonumber(ARGV[4]) then
  return done('OK', 'FULL')
end
call('HSET', LIMIT .. 'detail', id, most)
call('ZADD', LIMIT .. 'index', '0', id)
limit_changed(id)
return done('OK', 'OK')
