-- use: workers tasks limits
-- ARGV: id, record, most limits
local id, record = ARGV[2], ARGV[3]
probe_tasks()
local known, count = record_of(id), call('ZCARD', LIMIT .. 'index')
local before = buckets_of(id)
begin()
if not has_classes then
  return done('OK', 'OLDER')
elseif known == record then
  return done('OK', 'DUP')
elseif not known and count >= tonumber(ARGV[4]) then
  return done('OK', 'FULL')
end
call('HSET', LIMIT .. 'detail', id, record)
call('ZADD', LIMIT .. 'index', '0', id)
limit_changed(id, before)
return done('OK', 'OK')
