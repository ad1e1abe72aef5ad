-- use: workers tasks limits configs cancel promote page due runs
-- ARGV: fence, limit, result ttl, most tasks to end whose start deadline has passed, "most limits that
-- have room, of their tasks to let go, of full buckets to forget"
local refused = fenced(ARGV[2])
if refused then
  return refused
end
probe_workers()
probe_tasks()
local late, bodies = {}, {}
if some_shut or some_limits then
  local ids = call('ZRANGEBYSCORE', LATE, '-inf', '(' .. wall_text, 'LIMIT', 0, ARGV[5])
  late, bodies = rows_of(ids), snapshots_of(ids)
  for _, row in ipairs(late) do
    if row then
      probe_cancel(row, true)
    end
  end
end
local found = delayed_due(ARGV[3])
local rows, next_due = due_configs(ARGV[3])
local news_in = first_news()
begin()
for i, row in ipairs(late) do
  if row then
    leave_home(row)
    end_cancelled(row, ARGV[2], '"expired"', ARGV[4], bodies[i])
  end
end
local count, next_in = promote(found)
let_go(ARGV[6])
return done('OK', count, next_in, time_row(), rows, next_due, ready_page(0, tonumber(ARGV[3])),
  news_in, opens_in())
