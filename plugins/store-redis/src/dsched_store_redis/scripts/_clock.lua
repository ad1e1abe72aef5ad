-- The wall clock of the server, in ms. Tests assemble the scripts with another one.
local function wall_clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- How long the server itself keeps the leader lock; store time decides before that.
local function lock_px(ms)
  return ms
end
