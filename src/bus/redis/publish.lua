-- Publishes a message: looks its idempotency key up, assigns the next id, stores and announces it, in one atomic step.
-- log.lua stands in front of it.
--
-- KEYS[4]  what was published under the idempotency key; a key that never exists without one
-- ARGV     data, node, messages to keep, seconds to keep the log, type ('' for a message), the idempotency key if the
--          entry has to state it beside its data, else ''; the digest of what is published if there is a key, else '';
--          milliseconds to remember it; an id that the log is known to have had, or ''
--
-- Returns {id, outcome}: outcome is 'stored', with the id of the predecessor, 'duplicate', 'reused' (the key was used for
-- another message), or 'behind' (the log ends before the id that is known).

local data, node, keep, log_seconds, kind, entry_key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local known_key, digest, key_ms, known_id = KEYS[4], ARGV[7], ARGV[8], ARGV[9]

local known = digest ~= '' and redis.call('GET', known_key)
if known then
  local id, of = string.match(known, '^(%S+) (%S+)$')
  return { id, of == digest and 'duplicate' or 'reused', '' }
end
if known_id ~= '' and ends_before(known_id) then return { '', 'behind', '' } end

local id, prev = append(kind, data, node, keep, log_seconds, entry_key)
if digest ~= '' then
  redis.call('SET', known_key, id .. ' ' .. digest, 'PX', key_ms)
end
return { id, 'stored', prev }
