-- Lines of tasks: a sorted set by number, and a hash of counts. `tail` is where the newest begin.
local COUNT_FIELDS = { 'attempt', 'last', 'count', 'head_lines', 'head_bytes', 'closed', 'tail',
  'tail_lines', 'tail_bytes' }

local function counts_of(id)
  local found = call('HMGET', LINECOUNT .. id, unpack(COUNT_FIELDS))
  local counts = {}
  for i, field in ipairs(COUNT_FIELDS) do
    counts[field] = tonumber(found[i] or '0')
  end
  counts.attempt = found[1] or ''
  return counts
end

local function keep_counts(id, counts)
  local flat = {}
  for _, field in ipairs(COUNT_FIELDS) do
    local value = counts[field]
    push(flat, field, field == 'attempt' and value or int(value))
  end
  call('HSET', LINECOUNT .. id, unpack(flat))
end
