-- use: documents
-- ARGV: fence (or empty), kind, id, read version
local refused = ARGV[2] ~= '' and fenced(ARGV[2])
if refused then
  return refused
end
local kind, id = ARGV[3], ARGV[4]
local key, index = document_key(kind, id), document_index(kind)
local record, version = document_at(key)
call('ZCARD', index)
call('ZCARD', EXPIRY)
begin()
if record == '' then
  return done('OK', 'UNKNOWN')
end
if version ~= ARGV[5] then
  return done('OK', 'MOVED')
end
call('UNLINK', key)
call('ZREM', index, id)
call('ZREM', EXPIRY, kind .. ' ' .. id)
return done('OK', 'OK')
