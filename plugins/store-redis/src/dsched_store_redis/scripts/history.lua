-- ARGV: cursor of the mark or empty, its wall
-- Breaks are lines "generation, at, from or empty, loss, lost, by (JSON), why (JSON)", the newest first.
local found = call('HMGET', META, 'identity', 'generation', 'revision', 'breaks')
local epoch = call('GET', P .. 'schedule:epoch')
local last = call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
local known, kept = '', ''
if ARGV[2] ~= '' and last then
  local before = call('XREVRANGE', EVENTS, ARGV[2], '-', 'COUNT', 1)[1]
  if before and before[1] == ARGV[2] and before[2][4] == ARGV[3] then
    known = 1
  elseif before then
    known, kept = 0, before[2][4]
  end
end
begin()
return done('OK', found[1] or '', found[2] or '0', epoch or '0', found[3] or '0',
  last and last[1] or '', last and last[2][4] or '', known, kept, found[4] or '', time_row())
