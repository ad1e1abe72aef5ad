-- Terms of leadership, newest first: epoch, began, ended, how, who (JSON), why (JSON), pod.
local TERMS = P .. 'schedule:terms'

local function end_term(how, who, why)
  local epoch, began, ended, pod = string.match(call('LINDEX', TERMS, 0) or '',
    '^(%d+)\t(%-?%d+)\t(%-?%d*)\t[^\t]*\t[^\t]*\t[^\t]*\t(.*)$')
  if epoch and ended == '' then
    call('LSET', TERMS, 0, table.concat({ epoch, began, wall_text, how, who, why, pod }, '\t'))
  end
end

local function begin_term(epoch, pod)
  end_term('expired', '""', '""')
  call('LPUSH', TERMS, epoch .. '\t' .. wall_text .. '\t\t\t""\t""\t' .. pod)
  call('LTRIM', TERMS, 0, 999)
end
