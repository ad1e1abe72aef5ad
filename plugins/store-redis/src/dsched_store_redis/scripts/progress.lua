-- use: tasks
-- ARGV: rows "id, token, value"
local items = {}
for id, token, value in string.gmatch(ARGV[2], '([^\t]*)\t([^\t]*)\t([^\n]*)\n') do
  local row = detail(id)
  local ok = row and row.status == 'running' and token_of(row) == token
  if ok then
    call('HLEN', NOTE .. id)
  end
  push(items, { id = id, row = row, value = value, outcome = ok and 'OK' or 'STALE' })
end
begin()
local outcomes = {}
for i, item in ipairs(items) do
  outcomes[i] = item.outcome
  if item.outcome == 'OK' then
    call('HSET', NOTE .. item.id, 'progress', item.value)
    if not item.row.note then
      item.row.note = '1'
      write_row(item.row)
    end
  end
end
return done('OK', table.concat(outcomes, ' '))
