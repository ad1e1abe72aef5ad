-- Rows of tasks for readers.
local function home_of(row)
  if TERMINAL[row.status] then
    return ''
  elseif row.run then
    return call('ZSCORE', RUNS, row.id) and 'open' or 'held'
  elseif row.status == 'running' then
    return 'lease'
  elseif is_queued(row) then
    return 'queue'
  elseif row.status == 'retrying' or call('ZSCORE', DELAYED, row.id) then
    return 'delayed'
  elseif call('ZSCORE', READY, row.id) then
    return 'ready'
  end
  return 'held'
end

-- Attempts of before are for who asks in full.
local function notes_of(id, full)
  local flat = call('HGETALL', NOTE .. id)
  for i = 1, full and 0 or #flat, 2 do
    if flat[i] == 'past' then
      table.remove(flat, i)
      table.remove(flat, i)
      break
    end
  end
  return flat
end

-- {id, home, fields, notes, snapshot, result}; false where there is none.
local function task_row(id, ttl, full, with_body)
  local row = detail(id)
  if not row or past_its_time(row, ttl) then
    return false
  end
  local fields = {}
  for name, value in pairs(row) do
    if name ~= 'id' and name ~= 'result' and name ~= 'spec' then
      push(fields, name, value)
    end
  end
  return {
    id,
    home_of(row),
    fields,
    row.note and notes_of(id, full) or {},
    (full or with_body) and (row.spec or call('GET', BODY .. id)) or '',
    full and row.result or '',
  }
end
