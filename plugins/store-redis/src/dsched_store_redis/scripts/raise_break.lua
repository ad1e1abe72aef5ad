-- ARGV: by, generation as read, the highest generation, epoch and revision seen, loss, lost,
-- from or empty, why (JSON), by (JSON), most breaks that are kept
local found = call('HMGET', META, 'generation', 'revision', 'breaks')
local epoch = tonumber(call('GET', P .. 'schedule:epoch') or '0')
local fence = holder()
begin()
if (found[1] or '0') ~= ARGV[3] then
  return done('MOVED')
end
local generation = int(math.max(tonumber(ARGV[3]), tonumber(ARGV[4])) + 1)
local least = tonumber(ARGV[5])
local line = table.concat({ generation, wall_text, ARGV[9], ARGV[7], ARGV[8],
  ARGV[11], ARGV[10] }, '\t')
local kept, most = { line }, tonumber(ARGV[12])
for old in string.gmatch(found[3] or '', '[^\n]+') do
  if #kept < most then
    push(kept, old)
  end
end
call('HSET', META, 'generation', generation, 'breaks', table.concat(kept, '\n'))
if least > epoch then
  call('SET', P .. 'schedule:epoch', int(least))
end
if tonumber(ARGV[6]) > tonumber(found[2] or '0') then
  call('HSET', META, 'revision', ARGV[6])
end
if fence and tonumber(string.match(fence, '^%d+')) < least then
  call('DEL', LEADER)
  call('HSET', META, 'until', now_text)
  wake('election')
end
local from = ARGV[9] ~= '' and ARGV[9] or 'null'
local why = ARGV[10] ~= '""' and ',"why":' .. ARGV[10] or ''
note('history', ARGV[2],
  '{"generation":' .. generation .. ',"loss":"' .. ARGV[7] .. '","from":' .. from .. why .. '}')
return done('OK')
