-- Stores and announces one message or event, in one atomic step.
--
-- KEYS[1]  the room's log (a stream) and, by the same name, its channel
-- KEYS[2]  the deleted ids, which are kept as long as the log
-- KEYS[3]  what was published under the idempotency key; absent without a key
-- ARGV     data, node, messages to keep, seconds to keep the log, milliseconds to keep the key, type
--          ('' for a message)
--
-- Returns {id, outcome}: outcome is 'stored', 'duplicate', or 'reused' (the key was used for another
-- message).

local log, deleted, known_key = KEYS[1], KEYS[2], KEYS[3]
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

-- The next id continues from the last generated one, not from the last entry, which may have been
-- deleted: a number that is assigned twice loses a message. The entry states it as its predecessor, for
-- the gap rule.
local last = '0-0'
if redis.call('EXISTS', log) == 1 then
  local info = redis.call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local last_ms, last_n = string.match(last, '^(%d+)-(%d+)$')
local time = redis.call('TIME')
local ms = math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(last_ms))
local id = string.format('%.0f-%.0f', ms, tonumber(last_n) + 1)

local fields = { 'data', data, 'node', node, 'prev', last }
if kind ~= '' then
  fields[7], fields[8] = 'type', kind
end
redis.call('XADD', log, 'MAXLEN', '~', keep, id, unpack(fields))
local expiry = string.format('%.0f', tonumber(log_seconds) * 1000)
redis.call('PEXPIRE', log, expiry)
redis.call('PEXPIRE', deleted, expiry)
if known_key then
  redis.call('SET', known_key, id .. ' ' .. digest, 'PX', key_ms)
end
redis.call('PUBLISH', log, '\030' .. id .. ' ' .. kind .. ' ' .. data)
return { id, 'stored' }
