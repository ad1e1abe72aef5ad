-- Putting queue entries back to ready, shared by recall, drain, deregister and register.
-- The caller has removed them from the worker's list, and puts the rows back.
local function recall_row(row, by, stalled)
  local worker_id = row.worker_id
  give_back(row.id, true)
  row.worker_id, row.since = nil, nil
  set_reason(row, 'recalled')
  note('recalled', by, '{"task":"' .. row.id .. '","worker":"' .. worker_id .. '"'
    .. (stalled and ',"stalled":true' or '') .. '}')
end

-- The oldest entries of a worker's queue, at most 100, with their rows (a probe as well).
local function queue_rows(worker_id)
  return rows_of(call('LRANGE', QUEUE .. worker_id, 0, 99))
end

local function requeue_all(rows, worker_id, by)
  if #rows == 0 then
    return
  end
  call('LTRIM', QUEUE .. worker_id, #rows, -1)
  local back = {}
  for _, row in ipairs(rows) do
    if row then
      recall_row(row, by)
      push(back, row)
    end
  end
  add_load('q:', worker_id, -#back)
  put_back(back)
end
