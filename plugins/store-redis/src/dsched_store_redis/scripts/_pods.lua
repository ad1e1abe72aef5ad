-- Pods that say they run: until when by store time, "seen<tab>record" of each, and the newest format
-- of a store that each knows; one of 0.1.0 knew 3 and says nothing of it.
local PODS, POD, POD_FORMAT = P .. 'pod:index', P .. 'pod:detail', P .. 'pod:format'

local function probe_pods()
  call('ZCARD', PODS)
  call('HLEN', POD)
  call('HLEN', POD_FORMAT)
end

-- Of those that were seen within their time: rows, formats.
local function living_pods(most)
  local rows, formats = {}, {}
  for i, id in ipairs(call('ZRANGEBYSCORE', PODS, '(' .. now_text, '+inf', 'LIMIT', 0, most)) do
    rows[i] = call('HGET', POD, id)
    formats[i] = call('HGET', POD_FORMAT, id) or '3'
  end
  return rows, formats
end

local function forget_pods(ids)
  if #ids > 0 then
    call('ZREM', PODS, unpack(ids))
    call('HDEL', POD, unpack(ids))
    call('HDEL', POD_FORMAT, unpack(ids))
  end
end
