-- Attempts that end without the end of their task.
-- Keeps a line of an attempt that ends without its task, in the note. `code`, `err`: JSON. The last 19
-- stay: the attempt that runs is in the row.
local KEPT = 19
local function remember_attempt(row, how, code, err)
  local lines, worker = {}, string.match(row.worker_id or '', '^[^"\\]*$') or ''
  for line in string.gmatch(row.note and call('HGET', NOTE .. row.id, 'past') or '', '[^\n]+') do
    push(lines, line)
  end
  push(lines, '[' .. (row.attempt or '0') .. ',"' .. worker .. '",' .. (row.start_time or wall_text) .. ','
    .. wall_text .. ',"' .. how .. '",' .. code .. ',' .. err .. ']')
  call('HSET', NOTE .. row.id, 'past', table.concat(lines, '\n', math.max(1, #lines - KEPT + 1)))
  row.note = '1'
end

-- The delay before the next attempt, if there is to be one, and the error to be kept of this one.
local function delay_and_error(field)
  local delay, err = string.match(field, '^(%d*) ?(.*)$')
  return tonumber(delay), err == '' and '""' or err
end
