-- use: workers tasks limits configs
-- ARGV: by, rows, contents, snapshots up to the revision, snapshots from it on
-- row: id, read (4), upto, latest, next_due, created, skipped item, fields "name value name value"
local by = ARGV[2]
probe_tasks()
probe_configs()
call('ZCARD', ORIGIN)
local function lines(text)
  return string.gmatch(text, '([^\n]*)\n')
end
local contents, heads, tails = lines(ARGV[4]), lines(ARGV[5]), lines(ARGV[6])
local items = {}
for line in lines(ARGV[3]) do
  local id, read, upto, latest, next_due, created, skipped, fields = string.match(line,
    '^([^\t]*)\t([^\t]*\t[^\t]*\t[^\t]*\t[^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$')
  local item = { id = id, upto = upto, next_due = next_due, skipped = skipped, fields = fields,
    content = contents(), head = heads(), tail = tails(), old = config_of(id) }
  local old = item.old
  item.created = tonumber(created)
  if item.created == 0 then
    item.created = wall
  end
  call('ZCARD', LIVE .. id)
  item.most = string.match('\t' .. fields, '\tmost\t(%d+)')
  probe_own_limit(id, old, item.most)
  if old and call('GET', CONTENT .. id) == item.content then
    item.outcome = 'DUP'
  elseif version_of(old) ~= read then
    item.outcome = 'MOVED'
  elseif tonumber(latest) > wall or (not old and item.created > wall) then
    item.outcome = 'EARLY'
  else
    item.outcome = 'OK'
  end
  push(items, item)
end
local last = tonumber(call('HGET', META, 'revision') or '0')
begin()
local texts, indexed = {}, {}
local function store(item)
  local id, old = item.id, item.old
  last = math.max(last + 1, now)
  local key, revision = CONFIG .. id, int(last)
  if old then
    call('HDEL', key, 'overlap', 'cap', 'deadline', 'priority', 'delay', 'route', 'origin', 'parked', 'run',
      'most', 'fails_max', 'fires_max')
  end
  local set = { 'revision', revision, 'updated', wall_text,
    'created', old and old.created or int(item.created) }
  local delay, enabled, origin
  local most, fires_max
  for name, value in string.gmatch(item.fields, '([^\t]+)\t([^\t]*)') do
    if name == 'enabled' then
      enabled = true
    else
      push(set, name, value)
    end
    if name == 'delay' then
      delay = value
    elseif name == 'origin' then
      origin = value
    elseif name == 'fails_max' then
      most = value
    elseif name == 'fires_max' then
      fires_max = value
    end
  end
  if old and old.paused then
    push(set, 'gap', item.upto)
  end
  call('HSET', key, unpack(set))
  push(texts, CONTENT .. id, item.content, SPEC .. id, item.head .. revision .. item.tail)
  push(indexed, '0', id)
  move_origin(id, old and old.origin, origin)
  set_own_limit(id, old, item.most)
  if delay and enabled then
    call('HSET', FIXED, id, delay)
  elseif old then
    call('HDEL', FIXED, id)
  end
  if most then
    call('HSET', COUNTED, id, most)
  elseif old and old.fails_max then
    call('HDEL', COUNTED, id)
  end
  -- What is counted up to another number than before begins anew.
  if old and old.fails and old.fails_max ~= most then
    call('HDEL', key, 'fails', 'failed')
  end
  if old and old.fires and old.fires_max ~= fires_max then
    call('HDEL', key, 'fires')
  end
  if item.skipped ~= '' then
    note('skipped', by, item.skipped)
  end
  forget_skips(id, old and old.skips, decided_before(item.upto, item.next_due))
  local paused = old and old.paused
  rearm(id, delay, paused, paused and (old.till or '') or item.next_due)
  note('config', by, '{"config":"' .. id .. '","act":"put","revision":' .. revision .. '}')
end
for _, item in ipairs(items) do
  if item.outcome == 'OK' then
    store(item)
  end
end
if #indexed > 0 then
  call('HSET', META, 'revision', int(last))
  call('MSET', unpack(texts))
  call('ZADD', INDEX, unpack(indexed))
end
local answers = {}
for i, item in ipairs(items) do
  answers[i] = { item.outcome, config_row(item.id) }
end
return done('OK', answers)
