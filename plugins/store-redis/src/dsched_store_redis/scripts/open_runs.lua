-- use: tasks rows runs
-- ARGV: fence, known "id version id version", limit, most lines, ttl by outcome
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_tasks()
local limit, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local known = {}
for id, version in string.gmatch(ARGV[3], '(%S+) (%d+)') do
  known[id] = tonumber(version)
end
local due = call('ZRANGEBYSCORE', RUNS, '-inf', now_text, 'LIMIT', 0, limit + 1)
local found, opened, lost = {}, {}, {}
for i = 1, math.min(#due, limit) do
  local row = room > 0 and detail(due[i])
  if row then
    local log, after = RUN_LOG .. row.id, known[row.id] or 0
    local lines = call('LRANGE', log, after, after + room - 1)
    room = room - #lines
    push(found, { id = row.id, version = call('LLEN', log), lines = lines,
      reason = row.cancel_requested and cancel_reason(row) })
    if row.status == 'pending' then
      row.status, row.start_time = 'running', wall_text
      push(opened, row)
    end
  elseif room > 0 then
    push(lost, due[i])  -- somebody removed its row
  end
end
begin()
write_rows(opened)
for _, id in ipairs(lost) do
  call('ZREM', RUNS, id)
end
local answers = {}
for i, run in ipairs(found) do
  answers[i] = { task_row(run.id, ARGV[6], false, not known[run.id]), run.version, run.lines,
    run.reason and 1 or 0, run.reason or '' }
end
local more = #due > #found + #lost
return done('OK', time_row(), answers, more and '0' or later_news(), more and 1 or 0)
