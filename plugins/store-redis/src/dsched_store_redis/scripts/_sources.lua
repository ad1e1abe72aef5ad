-- Runs that take over members of earlier ones, their sources, which stay for as long as they do.
local FOR_EVER = '3153600000000'

local function probe_sources()
  probe('HLEN', 'run:sources', 'run:followers')
end

-- Whether all of these are runs that have ended.
local function sources_there(sources)
  for id in string.gmatch(sources, '[^ ]+') do
    local row = detail(id)
    if not (row and row.run and TERMINAL[row.status]) then
      return false
    end
  end
  return true
end

-- A new run takes over from these: whatever is over of their own time, they stay.
local function follow_sources(id, sources)
  for source in string.gmatch(sources, '[^ ]+') do
    local others = call('HGET', FOLLOWERS, source)
    call('HSET', FOLLOWERS, source, others and others .. ' ' .. id or id)
    call('PEXPIRE', DETAIL .. source, FOR_EVER)
    call('PEXPIRE', NOTE .. source, FOR_EVER)
  end
  call('HSET', SOURCES, id, sources)
end

-- Of the sources of runs that are removed the others that follow them: '' for none.
local function followers_without(runs)
  local gone, found = {}, {}
  for _, id in ipairs(runs) do
    gone[id] = true
  end
  local sources_of = #runs > 0 and call('HMGET', SOURCES, unpack(runs)) or {}
  for i = 1, #runs do
    for source in string.gmatch(sources_of[i] or '', '[^ ]+') do
      if not found[source] then
        local others = {}
        for id in string.gmatch(call('HGET', FOLLOWERS, source) or '', '[^ ]+') do
          if not gone[id] then
            push(others, id)
          end
        end
        found[source] = table.concat(others, ' ')
      end
    end
  end
  return found
end
