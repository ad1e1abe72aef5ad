-- use: documents
-- ARGV: kind, id
local record = document_at(document_key(ARGV[2], ARGV[3]))
begin()
return done('OK', record)
