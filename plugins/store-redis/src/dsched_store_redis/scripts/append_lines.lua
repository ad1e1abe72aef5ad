-- use: tasks lines
-- ARGV: rows "id, token, count", lines "number, age, size, level, text (JSON)", most lines and most
-- bytes of each half, result ttl
local half_lines, half_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local ttl = tonumber(ARGV[6])
local lines = string.gmatch(ARGV[3], '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n')
local items = {}
for id, token, count in string.gmatch(ARGV[2], '([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = detail(id)
  local ok = row and token_of(row) == token
    and not (row.end_time and ms_of(row.end_time) + ttl <= wall)
  local item = { id = id, row = row, outcome = ok and 'OK' or 'STALE', lines = {} }
  for i = 1, tonumber(count) do
    local number, age, size, rest = lines()
    item.lines[i] = { number = tonumber(number), age = age, size = tonumber(size), rest = rest }
  end
  if ok then
    item.counts = counts_of(id)
    call('LLEN', HEAD .. id)
    item.kept = call('LLEN', TAIL .. id)
  end
  push(items, item)
end

begin()

-- How many of the oldest must go so that the tail is within its half again; the new ones are not
-- pushed yet. Sizes of the old ones are read fifty at a time.
local function surplus(item, counts, fresh)
  local old, drop, sizes = item.kept, 0, {}
  local total, bytes = old + #fresh, tonumber(counts.tail_bytes)
  while total - drop > half_lines or bytes > half_bytes do
    if drop >= old then
      bytes = bytes - fresh[drop - old + 1].size
    else
      local at = drop % 50
      if at == 0 then
        sizes = call('LRANGE', TAIL .. item.id, drop, drop + 49)
      end
      bytes = bytes - size_of(sizes[at + 1])
    end
    drop = drop + 1
  end
  counts.tail_bytes = bytes
  return drop
end

local function keep(item)
  local counts, head, fresh = item.counts, {}, {}
  if counts.attempt ~= item.row.attempt then
    counts.attempt, counts.last = item.row.attempt, 0
  end
  for _, line in ipairs(item.lines) do
    if line.number > counts.last then
      counts.last, counts.count = line.number, counts.count + 1
      local text = counts.attempt .. '\t' .. int(wall - tonumber(line.age)) .. '\t'
        .. int(line.size) .. '\t' .. line.rest
      if counts.closed == 0 and counts.head_lines < half_lines
        and counts.head_bytes + line.size <= half_bytes then
        counts.head_lines, counts.head_bytes = counts.head_lines + 1, counts.head_bytes + line.size
        counts.tail = counts.count + 1
        push(head, text)
      else
        counts.closed, counts.tail_bytes = 1, counts.tail_bytes + line.size
        push(fresh, { size = line.size, text = text })
      end
    end
  end
  return head, fresh
end

local function write(item)
  local id, counts = item.id, item.counts
  local before = counts.count
  local head, fresh = keep(item)
  if counts.count == before then
    return
  end
  if #head > 0 then
    call('RPUSH', HEAD .. id, unpack(head))
  end
  if #fresh > 0 then
    local drop = surplus(item, counts, fresh)
    if drop > 0 and item.kept > 0 then
      call('LTRIM', TAIL .. id, math.min(drop, item.kept), -1)
    end
    local texts = {}
    for i = math.max(0, drop - item.kept) + 1, #fresh do
      texts[#texts + 1] = fresh[i].text
    end
    if #texts > 0 then
      call('RPUSH', TAIL .. id, unpack(texts))
    end
    counts.tail = counts.tail + drop
  end
  keep_counts(id, counts)
  if not item.row.lines then
    call('HSET', DETAIL .. id, 'lines', '1')
  end
  if TERMINAL[item.row.status] then
    expire_lines(id, math.max(1, call('PTTL', DETAIL .. id)))
  end
end

local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    write(item)
  end
end
return done('OK', table.concat(outcomes, ' '))
