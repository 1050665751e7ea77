-- Publishes a message: takes a token, looks its idempotency key up, assigns the next id, stores and announces it, in one
-- atomic step. log.lua and token.lua stand in front of it.
--
-- KEYS[4]  what was published under the idempotency key; a key that never exists without one
-- KEYS[5]  what nodes have offered of the log, if it is absent
-- KEYS[6]  a key that exists if the log was filled a short while ago
-- ARGV     data, node, messages to keep, seconds to keep the log, type ('' for a message), the idempotency key if the
--          entry has to state it beside its data, else ''; the digest of what is published if there is a key, else '';
--          milliseconds to remember it; an id that the log is known to have had, '', or '-' if it was healed just now;
--          the bucket from which a token is taken, or '', and its tokens per second and when it is full. The bucket is no
--          KEYS, since its slot is another: a single server may run in cluster mode
--
-- Returns {id, outcome}: outcome is 'stored', with the id of the predecessor, 'duplicate', 'reused' (the key was used for
-- another message), 'behind' (the log ends before the id that is known, or is about to be filled), or 'limited', with the
-- microseconds to wait for a token.

local data, node, keep, log_seconds, kind, entry_key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local known_key, offers, filled, digest, key_ms, known_id = KEYS[4], KEYS[5], KEYS[6], ARGV[7], ARGV[8], ARGV[9]

if ARGV[10] ~= '' then
  -- Without a count the nodes decide alone.
  local wait = take_token(ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12]))
  if wait > 0 then return { '', 'limited', tostring(wait) } end
end

local known = digest ~= '' and redis.call('GET', known_key)
if known then
  local id, of = string.match(known, '^(%S+) (%S+)$')
  return { id, of == digest and 'duplicate' or 'reused', '' }
end

-- Returns true if the log has to be healed first. `last` is the last id that it has generated.
local function is_behind(last)
  if known_id == '-' then return false end
  if known_id ~= '' then
    local last_ms, last_n = string.match(last, '^(%d+)-(%d+)$')
    local ms, n = string.match(known_id, '^(%d+)-(%d+)$')
    -- An id of another branch is later, whatever its number.
    return tonumber(last_n) < tonumber(n) and tonumber(last_ms) <= tonumber(ms)
  end
  return last == '0-0' and redis.call('EXISTS', offers) == 1 and redis.call('EXISTS', filled) == 0
end

local last, length = state_of_log()
if is_behind(last) then return { '', 'behind', '' } end
local id, prev = append(kind, data, node, keep, log_seconds, entry_key, last, length)
if digest ~= '' then
  redis.call('SET', known_key, id .. ' ' .. digest, 'PX', key_ms)
end
return { id, 'stored', prev }
