-- Publishes a message: looks its idempotency key up, assigns the next id, stores and announces it, in one atomic step.
-- log.lua stands in front of it.
--
-- KEYS[4]  what was published under the idempotency key; absent without a key
-- ARGV     data, node, messages to keep, seconds to keep the log, milliseconds to keep the key, type
--          ('' for a message)
--
-- Returns {id, outcome}: outcome is 'stored', 'duplicate', or 'reused' (the key was used for another
-- message).

local known_key = KEYS[4]
local data, node, keep, log_seconds, key_ms, kind = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local digest
if known_key then
  -- No type has a line break, so the two are not mistaken for others.
  digest = redis.sha1hex(kind == '' and data or kind .. '\n' .. data)
  local known = redis.call('GET', known_key)
  if known then
    local id, of = string.match(known, '^(%S+) (%S+)$')
    return { id, of == digest and 'duplicate' or 'reused' }
  end
end

local id = append(kind, data, node, keep, log_seconds)
if known_key then
  redis.call('SET', known_key, id .. ' ' .. digest, 'PX', key_ms)
end
return { id, 'stored' }
