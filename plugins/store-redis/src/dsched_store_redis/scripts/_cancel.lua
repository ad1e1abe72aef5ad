-- Cancelling, shared by cancel, fire (superseded), dispatch and claim (expired).
local function leave_home(row)
  local id = row.id
  if row.status == 'retrying' then
    add_retrying(-1)
  end
  if is_queued(row) then
    call('LREM', QUEUE .. row.worker_id, 1, id)
    add_load('q:', row.worker_id, -1)
    give_back(id, true)
    return
  end
  if row.run and call('ZREM', RUNS, id) == 1 then
    return
  end
  if call('ZREM', READY, id) == 1 then
    leave_class(id)
    return
  end
  if call('ZREM', DELAYED, id) == 1 then
    return
  end
  local config_id = fire_config(id)
  if config_id then
    hold_no_more(config_id, id)
  end
end

local function probe_cancel(row, read)
  probe_end(row.id, read)
  call('HLEN', NOTE .. row.id)
  if row.worker_id then
    call('LLEN', QUEUE .. row.worker_id)
  end
  if row.run then
    probe('ZCARD', 'run:open')
  end
end

local function end_cancelled(row, by, reason, ttl, body)
  set_reason(row, plain(reason))
  finish(row, 'cancelled', ttl, nil, body)
  note('cancelled', by, '{"task":"' .. row.id .. '","status":"cancelled","reason":' .. reason .. '}')
end

-- Whether it ended at once; else the running attempt is asked to stop.
local function cancel_row(row, by, reason, ttl)
  if row.status ~= 'running' then
    leave_home(row)
    end_cancelled(row, by, reason, ttl)
    return true
  end
  if not row.cancel_requested then
    local text = plain(reason)
    row.cancel_requested = '1'
    if #text <= SHORT then
      row.cancel_reason = text
    else
      call('HSET', NOTE .. row.id, 'cancel_reason', text)
      row.note = '1'
    end
    write_row(row)
    note('cancel_requested', by, '{"task":"' .. row.id .. '","reason":' .. reason .. '}')
  end
  if row.run then
    give_news(row.id)
  else
    wake(row.worker_id)
  end
  return false
end
