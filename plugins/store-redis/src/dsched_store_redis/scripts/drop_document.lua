-- use: documents
-- ARGV: kind, id, read version
local kind, id = ARGV[2], ARGV[3]
local key, index = document_key(kind, id), document_index(kind)
local record, version = document_at(key)
call('ZCARD', index)
call('ZCARD', EXPIRY)
begin()
if record == '' then
  return done('OK', 'UNKNOWN')
end
if version ~= ARGV[4] then
  return done('OK', 'MOVED')
end
call('UNLINK', key)
call('ZREM', index, id)
call('ZREM', EXPIRY, kind .. ' ' .. id)
return done('OK', 'OK')
