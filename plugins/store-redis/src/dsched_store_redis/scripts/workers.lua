-- use: workers
probe_workers()
begin()
return done('OK', int(now), all_workers())
