-- use: workers tasks limits
-- ARGV: id after which to go on, limit
local limit = tonumber(ARGV[3])
local start = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local ids = call('ZRANGEBYLEX', LIMIT .. 'index', start, '+', 'LIMIT', 0, limit + 1)
local found = {}
for i = 1, math.min(limit, #ids) do
  push(found, ids[i], record_of(ids[i]) or '')
end
begin()
return done('OK', found, #ids > limit and 1 or 0)
