-- The configs whose instant has come, and the next instant after now.
local function due_configs(limit)
  local rows = {}
  for i, id in ipairs(call('ZRANGEBYSCORE', DUE, '-inf', wall_text, 'LIMIT', 0, limit)) do
    rows[i] = config_row(id)
  end
  local later = call('ZRANGEBYSCORE', DUE, '(' .. wall_text, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return rows, later[2] or ''
end
