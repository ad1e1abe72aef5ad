-- use: tasks configs
-- ARGV: fence, limit
local refused = fenced(ARGV[2])
if refused then
  return refused
end
local ids = call('ZRANGEBYSCORE', DUE, '-inf', wall_text, 'LIMIT', 0, ARGV[3])
local rows = {}
for i, id in ipairs(ids) do
  rows[i] = config_row(id)
end
local later = call('ZRANGEBYSCORE', DUE, '(' .. wall_text, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
begin()
return done('OK', time_row(), rows, later[2] or '')
