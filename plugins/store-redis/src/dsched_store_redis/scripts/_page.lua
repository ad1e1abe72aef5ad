-- A page of the ready tasks with all workers, read by ready and at the end of dispatch.
local function ready_page(skip, limit)
  local flat = call('ZRANGE', READY, skip, skip + limit - 1, 'WITHSCORES')
  local found, lines = {}, {}
  for i = 1, #flat, 2 do
    found[#found + 1] = flat[i]
    local score = tonumber(flat[i + 1])
    local rank = math.floor((score + 1e12) / 1e13)
    lines[#lines + 1] = flat[i] .. '\t' .. int(9 - rank) .. '\t' .. int(score - rank * 1e13)
  end
  local routed = {}
  if #found > 0 and call('HLEN', ROUTE) > 0 then
    local values = call('HMGET', ROUTE, unpack(found))
    for i, id in ipairs(found) do
      if values[i] then
        push(routed, id, values[i])
      end
    end
  end
  local more = call('ZCARD', READY) > skip + #found
  return { time_row(), table.concat(lines, '\n'), routed, more and 1 or 0, all_workers() }
end
