-- use: workers
-- ARGV: "digest digest digest"
local digests = {}
for digest in string.gmatch(ARGV[2], '[^ ]+') do
  push(digests, digest)
end
local found = call('HMGET', ABILITY, unpack(digests))
for i in ipairs(digests) do
  found[i] = found[i] or ''
end
begin()
return done('OK', found)
