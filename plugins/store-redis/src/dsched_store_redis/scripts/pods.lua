-- use: pods
-- ARGV: most pods
probe_pods()
local rows, formats = living_pods(ARGV[2])
begin()
return done('OK', rows, formats)
