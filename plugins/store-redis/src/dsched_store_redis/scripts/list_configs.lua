-- use: tasks configs
-- ARGV: id after which to go on, limit
local limit = tonumber(ARGV[3])
local after = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local ids = call('ZRANGEBYLEX', INDEX, after, '+', 'LIMIT', 0, limit + 1)
local rows = {}
for i = 1, math.min(limit, #ids) do
  rows[i] = config_row(ids[i])
end
begin()
return done('OK', rows, #ids > limit and ids[limit] or '')
