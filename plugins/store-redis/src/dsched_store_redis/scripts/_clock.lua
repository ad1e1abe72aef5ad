-- The wall clock of the server, in ms. Tests assemble the scripts with another one.
local function wall_clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- For how long the server itself keeps a key that expires.
local function px(ms)
  return ms
end
