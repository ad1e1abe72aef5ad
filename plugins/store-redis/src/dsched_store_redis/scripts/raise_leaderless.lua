-- ARGV: by, ms idle
local epoch = call('GET', P .. 'schedule:epoch')
local outcome, idle = 'OK', now - (lock_until or 0)
if holder() then
  outcome = 'TAKEN'
elseif not epoch then
  outcome = 'EMPTY'
elseif call('HGET', META, 'leaderless') == epoch then
  outcome = 'ALREADY'
elseif idle < tonumber(ARGV[3]) then
  outcome = 'EARLY'
end
begin()
if outcome == 'OK' then
  call('HSET', META, 'leaderless', epoch)
  note('leaderless', ARGV[2], '{"epoch":' .. epoch .. ',"idle":' .. int(idle) .. '}')
end
return done(outcome)
