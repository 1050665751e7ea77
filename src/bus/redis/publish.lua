-- Publishes a message: looks its idempotency key up, assigns the next id, stores and announces it, in one atomic step.
-- log.lua stands in front of it.
--
-- KEYS[4]  what was published under the idempotency key; a key that never exists without one
-- KEYS[5]  what nodes have offered of the log, if it is absent
-- KEYS[6]  a key that exists if the log was filled a short while ago
-- ARGV     data, node, messages to keep, seconds to keep the log, type ('' for a message), the idempotency key if the
--          entry has to state it beside its data, else ''; the digest of what is published if there is a key, else '';
--          milliseconds to remember it; an id that the log is known to have had, '', or '-' if it was healed just now
--
-- Returns {id, outcome}: outcome is 'stored', with the id of the predecessor, 'duplicate', 'reused' (the key was used for
-- another message), or 'behind' (the log ends before the id that is known, or is about to be filled).

local data, node, keep, log_seconds, kind, entry_key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local known_key, offers, filled, digest, key_ms, known_id = KEYS[4], KEYS[5], KEYS[6], ARGV[7], ARGV[8], ARGV[9]

local known = digest ~= '' and redis.call('GET', known_key)
if known then
  local id, of = string.match(known, '^(%S+) (%S+)$')
  return { id, of == digest and 'duplicate' or 'reused', '' }
end
-- Whether the log has to be healed first.
local function is_behind()
  if known_id == '-' then return false end
  if redis.call('EXISTS', log) == 1 then return known_id ~= '' and ends_before(known_id) end
  return known_id ~= '' or redis.call('EXISTS', offers) == 1 and redis.call('EXISTS', filled) == 0
end
if is_behind() then return { '', 'behind', '' } end

local id, prev = append(kind, data, node, keep, log_seconds, entry_key)
if digest ~= '' then
  redis.call('SET', known_key, id .. ' ' .. digest, 'PX', key_ms)
end
return { id, 'stored', prev }
