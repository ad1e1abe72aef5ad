-- Delayed tasks whose instant has come: read before the first write, made ready after it.
local function delayed_due(limit)
  local ids = call('ZRANGEBYSCORE', DELAYED, '-inf', now_text, 'LIMIT', 0, limit)
  local rows = {}
  for _, id in ipairs(ids) do
    local row = detail(id)
    if row then
      push(rows, row)
    end
  end
  return { ids = ids, rows = rows }
end

-- How many became ready, and in how many ms the next one will ('' for never).
local function promote(found)
  if #found.ids > 0 then
    call('ZREM', DELAYED, unpack(found.ids))
  end
  local scores = {}
  for _, row in ipairs(found.rows) do
    push(scores, (ready_place(row.id, ready_score(row))), row.id)
  end
  if #scores > 0 then
    call('ZADD', READY, unpack(scores))
  end
  for _, row in ipairs(found.rows) do
    if row.status == 'retrying' then
      row.status = 'pending'
      write_row(row)
      add_retrying(-1)
    end
  end
  local later = call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  return #found.ids, later[2] and int(math.max(0, tonumber(later[2]) - now)) or ''
end
