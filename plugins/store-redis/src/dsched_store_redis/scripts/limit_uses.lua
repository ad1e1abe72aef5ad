-- use: workers tasks limits oldest
-- ARGV: name after which to go on, limit, of which limit (or '')
local after, limit, of = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local names
if of ~= '' then
  names = uses_of(of, after, limit + 1)
else
  local start = after == '' and '-' or '(' .. after
  names = call('ZRANGEBYLEX', LIMIT .. 'names', start, '+', 'LIMIT', 0, limit + 1)
end
local found = {}
for i = 1, math.min(limit, #names) do
  local name = names[i]
  push(found, name, call('HGET', LIMIT .. 'held', name) or '0')
  push(found, int(call('ZCARD', LIMIT .. 'tasks:' .. name)))
  push(found, oldest_in(LIMIT .. 'tasks:' .. name))
  local coming = next_token(name)
  push(found, numbers_of(name).token and int(tokens_left(name)) or '')
  push(found, coming and int(math.ceil(coming / 1000) - now) or '')
end
begin()
return done('OK', found, #names > limit and 1 or 0)
