-- use: pods
-- ARGV: by, most pods, the newest format
-- The number is one field, and is written by the last command but for the entry: a script that does
-- not get that far has changed nothing.
probe_pods()
local _, formats = living_pods(ARGV[3])
local stored = string.match(store_format, '^%d+')
local outcome = stored == ARGV[4] and 'ALREADY' or 'OK'
for _, known in ipairs(formats) do
  if outcome == 'OK' and tonumber(known) < tonumber(ARGV[4]) then
    outcome = 'OLDER'
  end
end
begin()
if outcome == 'OK' then
  call('HSET', META, 'format', '@FORMAT@')
  note('migrated', ARGV[2], '{"from":' .. stored .. ',"to":' .. ARGV[4] .. '}')
end
return done(outcome)
