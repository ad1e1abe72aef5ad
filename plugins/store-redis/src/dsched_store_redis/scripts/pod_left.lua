-- use: pods
-- ARGV: pod
probe_pods()
begin()
call('ZREM', PODS, ARGV[2])
call('HDEL', POD, ARGV[2])
return done('OK')
