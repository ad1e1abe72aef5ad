-- ARGV: config or nothing, first hour, end, ms that statistics are kept
local hour, stop = tonumber(ARGV[3]), tonumber(ARGV[4])
local oldest = wall - tonumber(ARGV[5])
local rows = {}
while hour < stop do
  if hour > oldest then
    local flat = call('HGETALL', P .. 'stats:' .. ARGV[2] .. ':' .. int(hour))
    if #flat > 0 then
      rows[#rows + 1] = { int(hour), flat }
    end
  end
  hour = hour + 3600000
end
begin()
return done('OK', rows)
