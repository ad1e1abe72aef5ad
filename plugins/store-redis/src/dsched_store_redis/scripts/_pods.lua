-- Pods that say they run: until when by store time, and "seen<tab>record" of each.
local PODS, POD = P .. 'pod:index', P .. 'pod:detail'

local function probe_pods()
  call('ZCARD', PODS)
  call('HLEN', POD)
end
