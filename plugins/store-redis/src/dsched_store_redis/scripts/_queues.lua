-- Queues of workers: in the order of priority, and within one in the order of dispatch.
local function priority_of(row)
  return tonumber(row.priority or '5')
end

-- What stands at a position of a queue, with its row.
local function queued_at(worker_id, position)
  local id = call('LINDEX', QUEUE .. worker_id, position)
  return id and detail(id)
end

-- How many entries of a queue of that size stand before a new one of that priority.
local function before(worker_id, size, priority)
  local low, high = 0, size
  local last = high > 0 and queued_at(worker_id, -1)
  if last and priority_of(last) >= priority then
    return high
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    local row = queued_at(worker_id, middle)
    if row and priority_of(row) < priority then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end
