-- Decisions: a sorted set a config by first instant, of "verdict, reason, record"; one of all by age;
-- and a hash a config of what became of them since: w worker, e end, m missed.
local DECISION, DECISIONS, FATE = P .. 'decision:', P .. 'decision:index', P .. 'decision:fate:'

local function decision_key(member)
  return string.match(member, '^([^\t]*\t[^\t]*)\t')
end

local function forget_decision(config_id, first_ms, member)
  local key = decision_key(member)
  local suffix = first_ms .. '\t' .. key
  call('ZREM', DECISION .. config_id, member)
  call('ZREM', DECISIONS, config_id .. '\t' .. suffix)
  call('HDEL', FATE .. config_id, 'w' .. suffix, 'e' .. suffix, 'm' .. suffix)
end
