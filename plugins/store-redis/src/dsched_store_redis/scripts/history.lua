-- ARGV: cursor of the mark or empty, its wall
-- Breaks are lines "generation, at, from or empty, loss, lost, by (JSON), why (JSON)", the newest first.
local found = call('HMGET', META, 'identity', 'generation', 'revision', 'breaks', 'end')
local epoch = call('GET', P .. 'schedule:epoch')
local known, kept = '', ''

local function ms_of(cursor)
  return tonumber(string.match(cursor, '^%d+'))
end

-- The wall of the last entry up to a cursor, found by halving the time in which it may lie: the
-- stream cannot be walked backwards here, and this is asked once a break.
local function last_before(entry, cursor)
  local low, high = ms_of(entry[1]), ms_of(cursor)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    local later = call('XRANGE', EVENTS, int(middle), cursor, 'COUNT', 1)[1]
    if later then
      entry, low = later, ms_of(later[1])
    else
      high = middle - 1
    end
  end
  -- What the search has found is the first entry of its millisecond, and several may share one.
  local same = call('XRANGE', EVENTS, int(low), cursor)
  return (same[#same] or entry)[2][4]
end

if ARGV[2] ~= '' then
  local entry = call('XRANGE', EVENTS, ARGV[2], ARGV[2])[1]
  if entry and entry[2][4] == ARGV[3] then
    known = 1
  else
    entry = call('XRANGE', EVENTS, '-', ARGV[2], 'COUNT', 1)[1]
    if entry then
      known, kept = 0, last_before(entry, ARGV[2])
    end
  end
end
begin()
return done('OK', found[1] or '', found[2] or '0', epoch or '0', found[3] or '0', found[5] or '',
  known, kept, found[4] or '', time_row())
