-- A page of the ready tasks with all workers, read by ready and at the end of dispatch: without those
-- that wait under a class. -1 shut classes: the format has none.
local function ready_page(skip, limit)
  local shut = has_classes and call('HLEN', SHUT) or -1
  local flat, count
  if shut > 0 or some_limits then
    flat = call('ZRANGEBYSCORE', READY, '-inf', OPEN_TO, 'WITHSCORES', 'LIMIT', skip, limit)
    count = call('ZCOUNT', READY, '-inf', OPEN_TO)
  else
    flat = call('ZRANGE', READY, skip, skip + limit - 1, 'WITHSCORES')
    count = call('ZCARD', READY)
  end
  local routed = {}
  if #flat > 0 and call('HLEN', ROUTE) > 0 then
    local found = {}
    for i = 1, #flat, 2 do
      push(found, flat[i])
    end
    local values = call('HMGET', ROUTE, unpack(found))
    for i, id in ipairs(found) do
      if values[i] then
        push(routed, id, values[i])
      end
    end
  end
  local more = count > skip + #flat / 2
  return { time_row(), flat, routed, more and 1 or 0, all_workers(), shut }
end
