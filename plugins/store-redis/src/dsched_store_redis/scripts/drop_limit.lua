-- use: workers tasks limits
-- ARGV: id, 1 if it may be in use
local id = ARGV[2]
probe_tasks()
local known = record_of(id)
local used, before = limit_used(id), buckets_of(id)
call('ZCARD', LIMIT .. 'index')
begin()
if not known then
  return done('OK', 'UNKNOWN')
elseif used and ARGV[3] == '0' then
  return done('OK', 'TAKEN')
end
call('HDEL', LIMIT .. 'detail', id)
call('ZREM', LIMIT .. 'index', id)
limit_changed(id, before)
return done('OK', 'OK')
