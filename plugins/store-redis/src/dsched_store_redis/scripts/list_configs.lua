-- use: tasks configs
-- ARGV: id after which to go on (nothing, or one that is not before the prefix), limit, the prefix of
-- the ids, and the origin if only its configs are asked for
local limit, prefix, origin = tonumber(ARGV[3]), ARGV[4], ARGV[5]

-- Up to `most` ids of an index after the given one, and whether there are more. The members that
-- count are `owner` and an id; no id has a character behind the last one used here.
local function ids_of(index, owner, most)
  local first = ARGV[2] == '' and '[' .. owner .. prefix or '(' .. owner .. ARGV[2]
  local last = '(' .. owner .. prefix .. '\127'
  local ids = call('ZRANGEBYLEX', index, first, last, 'LIMIT', 0, most + 1)
  local more = #ids > most
  ids[most + 1] = nil
  for i, member in ipairs(ids) do
    ids[i] = string.sub(member, #owner + 1)
  end
  return ids, more
end

-- The configs of the API, found by leaving out those of other origins. The work is bounded, so the
-- page may be short.
local function ids_of_api()
  local looked_at, more = ids_of(INDEX, '', 4 * limit)
  local ids = {}
  for i, id in ipairs(looked_at) do
    if not call('HGET', CONFIG .. id, 'origin') then
      ids[#ids + 1] = id
      if #ids == limit then
        return ids, (more or i < #looked_at) and id
      end
    end
  end
  return ids, more and looked_at[#looked_at]
end

local ids, cursor
if origin == 'api' then
  ids, cursor = ids_of_api()
else
  local more
  if origin then
    ids, more = ids_of(ORIGIN, origin .. '\t', limit)
  else
    ids, more = ids_of(INDEX, '', limit)
  end
  cursor = more and ids[limit]
end
local rows = {}
for i, id in ipairs(ids) do
  rows[i] = config_row(id)
end
begin()
return done('OK', rows, cursor or '')
