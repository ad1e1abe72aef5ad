-- A page of the ready tasks with all workers, read by ready and at the end of dispatch.
local function ready_page(skip, limit)
  local flat = call('ZRANGE', READY, skip, skip + limit - 1, 'WITHSCORES')
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
  local more = call('ZCARD', READY) > skip + #flat / 2
  return { time_row(), flat, routed, more and 1 or 0, all_workers() }
end
