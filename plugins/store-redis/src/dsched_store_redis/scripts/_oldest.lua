-- The scheduled instant of the oldest task of a set at the scores of task:ready, or ''.
local function oldest_in(key)
  local oldest
  for rank = 0, call('ZCARD', key) > 0 and 9 or -1 do
    local low, high = rank * 1e13 - 1e12, (rank + 1) * 1e13 - 1e12
    local found = call('ZRANGEBYSCORE', key, int(low), '(' .. int(high), 'WITHSCORES',
      'LIMIT', 0, 1)
    if found[2] then
      local scheduled = tonumber(found[2]) - rank * 1e13
      oldest = oldest and math.min(oldest, scheduled) or scheduled
    end
  end
  return oldest and int(oldest) or ''
end
