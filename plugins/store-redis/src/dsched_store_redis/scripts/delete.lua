-- use: workers tasks limits configs
-- ARGV: by, config, read, upto, latest, next_due, skipped item
local by, id = ARGV[2], ARGV[3]
probe_configs()
call('ZCARD', ORIGIN)
local row = config_of(id)
probe_own_limit(id, row, nil)
local outcome = 'OK'
if not row then
  outcome = 'UNKNOWN'
elseif version_of(row) ~= ARGV[4] then
  outcome = 'MOVED'
elseif tonumber(ARGV[6]) > wall then
  outcome = 'EARLY'
end
begin()
if outcome ~= 'OK' then
  return done(outcome)
end
if ARGV[8] ~= '' then
  note('skipped', by, ARGV[8])
end
call('ZREM', DUE, id)
call('ZREM', INDEX, id)
move_origin(id, row.origin, nil)
call('HDEL', FIXED, id)
set_own_limit(id, row, nil)
if row.fails_max then
  call('HDEL', COUNTED, id)
end
call('DEL', CONFIG .. id, CONTENT .. id, SPEC .. id)
note('config', by, '{"config":"' .. id .. '","act":"deleted","revision":' .. row.revision .. '}')
return done('OK')
