-- Putting queue entries back to ready, shared by recall, drain, deregister and register.
-- The caller has removed them from the worker's list.
local function requeue_row(row, by, stalled)
  local worker_id = row.worker_id
  row.worker_id, row.since = nil, nil
  set_reason(row, 'recalled')
  write_row(row)
  add_load('q:', worker_id, -1)
  make_ready(row)
  note('recalled', by, '{"task":"' .. row.id .. '","worker":"' .. worker_id .. '"'
    .. (stalled and ',"stalled":true' or '') .. '}')
end

-- The oldest entries of a worker's queue, at most 100, with their rows (a probe as well).
local function queue_rows(worker_id)
  local rows = {}
  local ids = call('LRANGE', QUEUE .. worker_id, 0, 99)
  for i, id in ipairs(ids) do
    rows[i] = detail(id) or false
  end
  return rows
end

local function requeue_all(rows, worker_id, by)
  if #rows == 0 then
    return
  end
  call('LTRIM', QUEUE .. worker_id, #rows, -1)
  for _, row in ipairs(rows) do
    if row then
      requeue_row(row, by)
    end
  end
end
