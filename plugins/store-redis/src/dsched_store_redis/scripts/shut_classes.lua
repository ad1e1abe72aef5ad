-- use: tasks classes oldest
-- ARGV: after which text (or ''), limit
probe_tasks()
probe_classes()
local rows = {}
local texts = {}
if has_classes then
  local first = ARGV[2] == '' and '-' or '(' .. ARGV[2]
  texts = call('ZRANGEBYLEX', SHUT_INDEX, first, '+', 'LIMIT', 0, tonumber(ARGV[3]) + 1)
end
for i = 1, math.min(#texts, tonumber(ARGV[3])) do
  local n, blocked, since = string.match(call('HGET', SHUT, texts[i]), '^(%d+) (%a+) (%-?%d+)$')
  push(rows, { texts[i], blocked, since, call('ZCARD', UNDER .. n), oldest_in(UNDER .. n) })
end
begin()
return done('OK', rows, #texts > tonumber(ARGV[3]) and 1 or 0)
