-- use: workers tasks cancel
-- ARGV: fence (or empty), by, reason (JSON), "id id id", result ttl
local refused = ARGV[2] ~= '' and fenced(ARGV[2])
if refused then
  return refused
end
local by, reason, ttl = ARGV[3], ARGV[4], ARGV[6]
probe_tasks()
local ids = {}
for id in string.gmatch(ARGV[5], '[^ ]+') do
  push(ids, id)
end
local rows = rows_of(ids)
for _, row in ipairs(rows) do
  if row and not TERMINAL[row.status] then
    probe_cancel(row)
  end
end
begin()
local outcomes = {}
for _, row in ipairs(rows) do
  -- An earlier item may have released this one from being held: its home is looked up anew.
  if not row then
    push(outcomes, 'UNKNOWN:')
  elseif row.status == 'cancelled' then
    push(outcomes, 'ALREADY:cancelled')
  elseif TERMINAL[row.status] then
    push(outcomes, 'TOO_LATE:' .. row.status)
  elseif cancel_row(row, by, reason, ttl) then
    push(outcomes, 'OK:cancelled')
  else
    push(outcomes, 'REQUESTED:running')
  end
end
return done('OK', table.concat(outcomes, ' '))
