-- use: tasks configs
-- ARGV: by, ms late, skip, limit
local by, skip, limit = ARGV[2], ARGV[4], ARGV[5]
local MISSED = P .. 'config:missed'
call('ZCARD', MISSED)
local fence = holder()
local term = fence and string.match(fence, '^(%d+):') or '0'
local upto = wall - tonumber(ARGV[3])
local found = call('ZRANGEBYSCORE', DUE, '-inf', int(upto), 'WITHSCORES',
  'LIMIT', skip, limit)
local missed = {}
for i = 1, #found, 2 do
  local id = found[i]
  local facts = call('HMGET', CONFIG .. id, 'parked', 'paused')
  local due = tonumber(owed(found[i + 1], facts[1]))
  -- One that is to pause itself is named before anything is due.
  if not facts[2] and due <= upto and tonumber(call('ZSCORE', MISSED, id) or '') ~= due then
    missed[#missed + 1] = { id, due }
  end
end
begin()
local rows = {}
for i, one in ipairs(missed) do
  local id, due = one[1], int(one[2])
  call('ZADD', MISSED, due, id)
  note('missed', by, '{"config":"' .. id .. '","ms":' .. due .. ',"late":' .. int(wall - one[2])
    .. ',"term":' .. term .. '}')
  rows[i] = id .. ' ' .. due
end
return done('OK', time_row(), fence or '', #found / 2, rows)
