-- use: tasks configs
-- ARGV: by, config, revision, instants "ms ms ms", who (JSON), why (JSON), most skips
local by, id, who, why = ARGV[2], ARGV[3], ARGV[6], ARGV[7]
probe_configs()
local row = config_of(id)
local kept, known, new = {}, {}, {}
if row then
  for at, asked, reason in string.gmatch(row.skips or '', SKIP) do
    known[at] = true
    push(kept, { tonumber(at), at .. '\t' .. asked .. '\t' .. reason .. '\n' })
  end
  for at in string.gmatch(ARGV[5], '%-?%d+') do
    if not known[at] then
      push(new, at)
      push(kept, { tonumber(at), at .. '\t' .. who .. '\t' .. why .. '\n' })
    end
  end
end
local outcome = 'OK'
if not row then
  outcome = 'UNKNOWN'
elseif row.revision ~= ARGV[4] then
  outcome = 'MOVED'
elseif #new == 0 then
  outcome = 'ALREADY'
elseif tonumber(new[1]) <= wall then
  outcome = 'TOO_LATE'
elseif #kept > tonumber(ARGV[8]) then
  outcome = 'FULL'
end
begin()
if outcome ~= 'OK' then
  return done(outcome)
end
table.sort(kept, function(a, b)
  return a[1] < b[1]
end)
local lines = {}
for i, one in ipairs(kept) do
  lines[i] = one[2]
end
call('HSET', CONFIG .. id, 'skips', table.concat(lines))
note('config', by, '{"config":"' .. id .. '","act":"skip","revision":' .. row.revision
  .. ',"first":' .. new[1] .. ',"last":' .. new[#new] .. ',"count":' .. #new
  .. ',"why":' .. why .. '}')
return done('OK')
