begin()
return done('OK', time_row())
