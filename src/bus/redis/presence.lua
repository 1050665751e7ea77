-- Stores and announces the presence entry of one process, and returns the entries of all, in one atomic step.
--
-- KEYS[1]  the room's presence entries: a hash of '<expires at, Unix milliseconds> <entry>' by process
-- ARGV     milliseconds for which an entry is valid by itself; milliseconds for which it is kept, because
--          it stays valid while its process is listed as alive; then, unless the entries are only read:
--          process, its entry ('' if it leaves the room), the room's channel (which is in the key's slot), the
--          announcement for it
--
-- Returns each entry as '<milliseconds to live> <entry>', those that are valid only while their process
-- is listed with less than 0. An entry that expires later than any call can set was written before the
-- clock was set back, or by another program: it expires as if it were written now.

local entries, ttl, keep = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local process, entry, channel, announcement = ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local reply, changed, gone = {}, {}, {}
local all = redis.call('HGETALL', entries)
for i = 1, #all, 2 do
  local expires, known = string.match(all[i + 1], '^(%d+) (.*)$')
  expires = tonumber(expires)
  if all[i] == process then
    if entry == '' then gone[#gone + 1] = process end
  elseif expires and expires + keep > now then
    if expires > now + ttl then
      expires = now + ttl
      changed[all[i]] = known
    end
    reply[#reply + 1] = string.format('%.0f ', expires - now) .. known
  else
    gone[#gone + 1] = all[i]
  end
end

if process and entry ~= '' then
  changed[process] = entry
  reply[#reply + 1] = string.format('%.0f ', ttl) .. entry
end
for of, changed_entry in pairs(changed) do
  redis.call('HSET', entries, of, string.format('%.0f ', now + ttl) .. changed_entry)
end
if changed[process] then redis.call('PEXPIRE', entries, keep) end
if process then redis.call(PUBLISH, channel, announcement) end
-- The last command on the key, which it may remove: while a cluster moves the slot, none may follow.
if #gone > 0 then redis.call('HDEL', entries, unpack(gone)) end
return reply
