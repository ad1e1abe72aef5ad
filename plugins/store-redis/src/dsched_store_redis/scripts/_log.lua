-- Entries of the log after a cursor, each as "cursor, kind, at, items, by".
local function log_after(cursor, limit)
  local entries = {}
  local start = cursor == '' and '-' or '(' .. cursor
  for i, entry in ipairs(call('XRANGE', EVENTS, start, '+', 'COUNT', limit)) do
    local f = entry[2]
    entries[i] = entry[1] .. '\t' .. f[2] .. '\t' .. f[4] .. '\t' .. f[8] .. '\t' .. f[6]
  end
  return entries
end
