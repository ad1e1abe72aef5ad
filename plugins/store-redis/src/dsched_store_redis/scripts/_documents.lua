-- Documents. Kept as "version expires text" (expires empty: it stays); an index of ids a kind, and
-- one of "kind id" by expiry for all of them.
local EXPIRY = P .. 'document:expiry'

local function document_key(kind, id)
  return P .. 'document:' .. kind .. ':' .. id
end

local function document_index(kind)
  return P .. 'documents:' .. kind
end

-- A document that has not expired: record, version, text. Else an empty record and version 0.
local function document_at(key)
  local record = call('GET', key)
  if record then
    local version, expires, text = string.match(record, '^(%d+) (%d*) (.*)$')
    if expires == '' or tonumber(expires) > now then
      return record, version, text
    end
  end
  return '', '0', nil
end
