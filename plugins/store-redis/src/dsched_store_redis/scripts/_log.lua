-- An entry has one item or a hundred. A page ends once it is this large: entries of any size keep
-- the server for a millisecond or two.
local PAGE_BYTES, CHUNK = 200000, 20

-- Entries of the log after a cursor, each as "cursor, kind, at, items, by"; and whether there may be
-- more (1 or 0).
local function log_after(cursor, limit)
  local entries, size = {}, 0
  local left = tonumber(limit)
  while left > 0 and size < PAGE_BYTES do
    local start = cursor == '' and '-' or '(' .. cursor
    local asked = math.min(left, CHUNK)
    local found = call('XRANGE', EVENTS, start, '+', 'COUNT', asked)
    for _, entry in ipairs(found) do
      local f = entry[2]
      cursor = entry[1]
      local line = cursor .. '\t' .. f[2] .. '\t' .. f[4] .. '\t' .. f[8] .. '\t' .. f[6]
      entries[#entries + 1] = line
      size = size + #line
    end
    if #found < asked then
      return entries, 0
    end
    left = left - asked
  end
  return entries, 1
end
