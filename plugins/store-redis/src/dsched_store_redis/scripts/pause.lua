-- use: tasks configs
-- ARGV: by, config, read, upto, latest, next_due, skipped item, why (JSON), by (JSON)
local by, id, why = ARGV[2], ARGV[3], ARGV[9]
probe_configs()
local row = config_of(id)
local outcome = 'OK'
if not row then
  outcome = 'UNKNOWN'
elseif row.paused then
  outcome = 'ALREADY'
elseif version_of(row) ~= ARGV[4] then
  outcome = 'MOVED'
elseif tonumber(ARGV[6]) > wall then
  outcome = 'EARLY'
end
begin()
if outcome ~= 'OK' then
  return done(outcome)
end
call('HSET', CONFIG .. id, 'paused', wall_text, 'gap', ARGV[5], 'who', ARGV[10], 'why', why)
if ARGV[8] ~= '' then
  note('skipped', by, ARGV[8])
end
unpark(row)
set_due(id, '')
note('config', by, '{"config":"' .. id .. '","act":"paused","revision":' .. row.revision
  .. (why ~= '""' and ',"why":' .. why or '') .. '}')
return done('OK')
