-- ARGV: config, start, limit
local start, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local found = call('ZREVRANGE', P .. 'decision:' .. ARGV[2], start, start + limit)
local records = {}
for i = 1, math.min(#found, limit) do
  records[i] = string.match(found[i], '^[^\t]*\t[^\t]*\t(.*)$')
end
begin()
return done('OK', records, #found > limit and 1 or 0)
