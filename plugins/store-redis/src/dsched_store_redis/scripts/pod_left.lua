-- use: pods
-- ARGV: pod
probe_pods()
begin()
forget_pods({ ARGV[2] })
return done('OK')
