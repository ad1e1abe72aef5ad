-- Rows of tasks for readers.
local function home_of(row)
  if TERMINAL[row.status] then
    return ''
  elseif row.status == 'running' then
    return 'lease'
  elseif row.status == 'retrying' or call('ZSCORE', DELAYED, row.id) then
    return 'delayed'
  elseif call('ZSCORE', READY, row.id) then
    return 'ready'
  end
  return call('ZSCORE', QUEUED, row.id) and 'queue' or 'held'
end

-- Past its time a task is not there, whether or not it has been removed already.
-- {id, home, fields, notes, body, joined result}; false where there is none.
local function task_row(id, ttl, full, with_body)
  local fields = call('HGETALL', DETAIL .. id)
  if #fields == 0 then
    return false
  end
  local row = { id = id }
  for i = 1, #fields, 2 do
    row[fields[i]] = fields[i + 1]
  end
  if row.end_time and ms_of(row.end_time) + keep_ms(ttl, row.status) <= wall then
    return false
  end
  return {
    id,
    home_of(row),
    fields,
    row.note and call('HGETALL', NOTE .. id) or {},
    (full or with_body) and call('GET', BODY .. id) or '',
    full and TERMINAL[row.status] and call('GET', RESULT .. id) or '',
  }
end
