-- use: facts
-- ARGV: config, start, limit, ms that decisions are kept, most decisions a config
local id, start, limit = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local kept, fate = DECISION .. id, FATE .. id
local found = call('ZREVRANGE', kept, start, start + limit, 'WITHSCORES')
local records, fields = {}, {}
for i = 1, math.min(#found / 2, limit) do
  local member = found[2 * i - 1]
  local key = decision_key(member)
  local suffix = int(tonumber(found[2 * i])) .. '\t' .. key
  records[i] = string.sub(member, #key + 2)
  push(fields, 'w' .. suffix, 'e' .. suffix, 'm' .. suffix)
end
local since = #fields > 0 and call('HMGET', fate, unpack(fields)) or {}
for i = 1, #fields do
  since[i] = since[i] or ''
end
local from = wall - tonumber(ARGV[5])
if call('ZCARD', kept) >= tonumber(ARGV[6]) then
  from = math.max(from, tonumber(call('ZRANGE', kept, 0, 0, 'WITHSCORES')[2]))
end
begin()
return done('OK', records, since, #found / 2 > limit and 1 or 0, int(from))
