-- When runs have news.
local function in_ms(found)
  local at = tonumber(found[2] or 'inf')
  return at < math.huge and int(math.max(0, at - now)) or ''
end

-- In how many ms the next news is due, '' if no run has any.
local function first_news()
  return in_ms(call('ZRANGE', RUNS, 0, 0, 'WITHSCORES'))
end

local function later_news()
  return in_ms(call('ZRANGEBYSCORE', RUNS, '(' .. now_text, '+inf', 'WITHSCORES', 'LIMIT', 0, 1))
end
