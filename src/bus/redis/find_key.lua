-- Looks for an idempotency key in a page of a log, the newest entries first. log.lua and entry_key.lua stand in front of
-- it.
--
-- KEYS[1]  the room's log
-- ARGV     key; '+', or the id before which the page begins; the id after which entries count, or '' for all since the
--          time for which a key is remembered; that time in milliseconds; most entries
--
-- Returns {the entry that was published under the key, if the page has it}, the id of the page's first entry (one
-- before all that count if it is empty), that of its last one ('' if nothing is left to look at).

local key, before, after, key_ms, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local time = redis.call('TIME')
local oldest = string.format('%.0f-0', math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - key_ms))
local newest = before == '+' and before or '(' .. before
local page = redis.call('XREVRANGE', log, newest, after == '' and oldest or '(' .. after, 'COUNT', most)

local first = page[1] and page[1][1] or after == '' and oldest or after
for _, entry in ipairs(page) do
  if has_key(entry, key) then return { { entry }, first, '' } end
end
return { {}, first, #page == most and page[most][1] or '' }
