local fence = holder()
begin()
return done('OK', fence or '')
