-- use: tasks configs
-- ARGV: by, config, read, upto, latest, next_due, skipped item, why (JSON), by (JSON), until
local by, id, why, till = ARGV[2], ARGV[3], ARGV[9], ARGV[11]
probe_configs()
local row = config_of(id)
local outcome = 'OK'
if not row then
  outcome = 'UNKNOWN'
elseif row.paused and (row.till and int(tonumber(row.till)) or '') == till then
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
if not row.paused then
  call('HSET', CONFIG .. id, 'paused', wall_text, 'gap', ARGV[5])
end
call('HSET', CONFIG .. id, 'who', ARGV[10], 'why', why)
if ARGV[8] ~= '' then
  note('skipped', by, ARGV[8])
end
unpark(row)
set_due_and_wake(id, till)
note('config', by, '{"config":"' .. id .. '","act":"paused","revision":' .. row.revision
  .. (why ~= '""' and ',"why":' .. why or '') .. (till ~= '' and ',"until":' .. till or '') .. '}')
return done('OK')
