-- use: documents
-- ARGV: kind, id after which to go on, limit, 1 for descending
local index, limit = document_index(ARGV[2]), tonumber(ARGV[4])
local ids
if ARGV[5] == '1' then
  local start = ARGV[3] == '' and '+' or '(' .. ARGV[3]
  ids = call('ZRANGE', index, start, '-', 'BYLEX', 'REV', 'LIMIT', 0, limit + 1)
else
  local start = ARGV[3] == '' and '-' or '(' .. ARGV[3]
  ids = call('ZRANGEBYLEX', index, start, '+', 'LIMIT', 0, limit + 1)
end
local found, records = {}, {}
for i = 1, math.min(limit, #ids) do
  found[i] = ids[i]
  records[i] = document_at(document_key(ARGV[2], ids[i]))
end
begin()
return done('OK', found, records, #ids > limit and ids[limit] or '')
