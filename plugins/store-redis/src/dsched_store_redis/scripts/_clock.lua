-- The wall clock of the server, in ms, and how far it is into the next one. Tests assemble the scripts with another one.
local function wall_clock()
  local time = redis.call('TIME')
  local us = tonumber(time[2])
  return tonumber(time[1]) * 1000 + math.floor(us / 1000), us % 1000 / 1000
end
-- For how long the server itself keeps a key that expires.
local function px(ms)
  return ms
end
