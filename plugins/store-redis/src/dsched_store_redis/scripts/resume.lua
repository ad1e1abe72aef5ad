-- use: tasks configs
-- ARGV: by, config, read, upto, latest, next_due, skipped item
local by, id = ARGV[2], ARGV[3]
probe_configs()
local row = config_of(id)
call('ZCARD', LIVE .. id)
local outcome = 'OK'
if not row then
  outcome = 'UNKNOWN'
elseif not row.paused then
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
call('HDEL', CONFIG .. id, 'paused', 'gap', 'who', 'why', 'parked')
if ARGV[8] ~= '' then
  note('skipped', by, ARGV[8])
end
forget_counts(row)
forget_skips(id, row.skips, decided_before(ARGV[5], ARGV[7]))
rearm(id, row.delay, false, ARGV[7])
note('config', by, '{"config":"' .. id .. '","act":"resumed","revision":' .. row.revision .. '}')
return done('OK')
