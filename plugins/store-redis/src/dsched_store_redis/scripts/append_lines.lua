-- use: tasks lines
-- ARGV: rows "id, token, count", lines "number, age, size, level, text (JSON)", most lines and most
-- bytes of each half, ttl by outcome
local half_lines, half_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local ttl = ARGV[6]
local lines = string.gmatch(ARGV[3], '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\n]*)\n')
local items = {}
for id, token, count in string.gmatch(ARGV[2], '([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = detail(id)
  local ok = row and token_of(row) == token
    and not past_its_time(row, ttl)
  local item = { id = id, row = row, outcome = ok and 'OK' or 'STALE', lines = {} }
  for i = 1, tonumber(count) do
    local number, age, size, rest = lines()
    item.lines[i] = { number = tonumber(number), age = age, size = tonumber(size), rest = rest }
  end
  if ok then
    item.counts = counts_of(id)
    call('ZCARD', LINES .. id)
  end
  push(items, item)
end

begin()

local function newest_of(item)
  local counts, found = item.counts, {}
  if counts.attempt ~= item.row.attempt then
    counts.attempt, counts.last = item.row.attempt, 0
  end
  for _, line in ipairs(item.lines) do
    if line.number > counts.last then
      counts.count = counts.count + line.number - counts.last
      counts.last = line.number
      local fits = counts.head_lines < half_lines and counts.head_bytes + line.size <= half_bytes
      if counts.closed == 0 and fits then
        counts.head_lines, counts.head_bytes = counts.head_lines + 1, counts.head_bytes + line.size
        counts.tail = counts.count + 1
      else
        counts.closed = 1
        counts.tail_lines, counts.tail_bytes = counts.tail_lines + 1, counts.tail_bytes + line.size
      end
      local n = int(counts.count)
      push(found, n, table.concat({ n, counts.attempt, int(wall - tonumber(line.age)),
        int(line.size), line.rest }, '\t'))
    end
  end
  return found
end

-- Remove the oldest lines of a tail that has outgrown its half, fifty at a time.
local function trim(id, counts)
  while counts.tail_lines > half_lines or counts.tail_bytes > half_bytes do
    local old = {}
    for _, line in ipairs(call('ZRANGEBYSCORE', LINES .. id, counts.tail, '+inf', 'LIMIT', 0, 50)) do
      if counts.tail_lines <= half_lines and counts.tail_bytes <= half_bytes then
        break
      end
      local n, size = string.match(line, '^(%d+)\t[^\t]*\t[^\t]*\t(%d+)\t')
      counts.tail = tonumber(n) + 1
      counts.tail_lines, counts.tail_bytes = counts.tail_lines - 1, counts.tail_bytes - tonumber(size)
      push(old, line)
    end
    if #old == 0 then
      return
    end
    call('ZREM', LINES .. id, unpack(old))
  end
end

local function write(item)
  local id, counts = item.id, item.counts
  local found = newest_of(item)
  if #found == 0 then
    return
  end
  for first = 1, #found, 1000 do
    call('ZADD', LINES .. id, unpack(found, first, math.min(first + 999, #found)))
  end
  trim(id, counts)
  keep_counts(id, counts)
  local row, ended = item.row, TERMINAL[item.row.status]
  if not row.lines then
    row.lines = '1'
    if ended then
      call('SET', DETAIL .. id, ended_text(row, row.result, row.spec), 'KEEPTTL')
    else
      write_row(row)
    end
  end
  -- A member has no time of its own: its lines go with its run.
  if ended and not run_of(id) then
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
