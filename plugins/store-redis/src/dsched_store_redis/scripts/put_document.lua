-- use: documents
-- ARGV: fence (or empty), kind, id, text, read version, ttl or empty, most expired ones to remove
local refused = ARGV[2] ~= '' and fenced(ARGV[2])
if refused then
  return refused
end
local kind, id, text, read = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key, index = document_key(kind, id), document_index(kind)
local record, version, kept = document_at(key)
call('ZCARD', index)
local swept = {}
for _, member in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now_text, 'LIMIT', 0, ARGV[8])) do
  local old_kind, old_id = string.match(member, '^([^ ]*) (.*)$')
  call('ZCARD', document_index(old_kind))
  push(swept, { member = member, kind = old_kind, id = old_id })
end
local last = tonumber(call('HGET', META, 'revision') or '0')
begin()
for _, one in ipairs(swept) do
  call('UNLINK', document_key(one.kind, one.id))
  call('ZREM', document_index(one.kind), one.id)
  call('ZREM', EXPIRY, one.member)
end
if kept == text then
  return done('OK', 'DUP', record)
end
if version ~= read then
  return done('OK', 'MOVED', record)
end
local given = int(math.max(last + 1, now))
call('HSET', META, 'revision', given)
local ttl = tonumber(ARGV[7])
local expires = ttl and int(now + ttl) or ''
record = given .. ' ' .. expires .. ' ' .. text
call('SET', key, record)
call('ZADD', index, 0, id)
if ttl then
  call('PEXPIRE', key, px(ttl))
  call('ZADD', EXPIRY, expires, kind .. ' ' .. id)
else
  call('ZREM', EXPIRY, kind .. ' ' .. id)
end
return done('OK', 'OK', record)
