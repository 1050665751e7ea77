-- Stores and announces the presence entry of one process, and returns the entries of all, in one atomic step.
--
-- KEYS[1]  the room's presence entries: a hash of '<expires at, Unix milliseconds> <entry>' by process
-- KEYS[2]  the room's channel
-- ARGV     milliseconds for which an entry is valid by itself; milliseconds for which it is kept, because
--          it stays valid while its process is listed as alive; then, unless the entries are only read:
--          process, its entry ('' if it leaves the room), its announcement
--
-- Returns each entry as '<milliseconds to live> <entry>', those that are valid only while their process
-- is listed with less than 0. An entry that expires later than any call can set was written before the
-- clock was set back, or by another program: it expires as if it were written now.

local entries, channel = KEYS[1], KEYS[2]
local ttl, keep, process, entry, announcement = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if process then
  if entry == '' then
    redis.call('HDEL', entries, process)
  else
    redis.call('HSET', entries, process, string.format('%.0f ', now + ttl) .. entry)
    redis.call('PEXPIRE', entries, keep)
  end
  redis.call('PUBLISH', channel, announcement)
end

local reply = {}
local all = redis.call('HGETALL', entries)
for i = 1, #all, 2 do
  local expires, known = string.match(all[i + 1], '^(%d+) (.*)$')
  expires = tonumber(expires)
  if expires and expires + keep > now then
    if expires > now + ttl then
      expires = now + ttl
      redis.call('HSET', entries, all[i], string.format('%.0f ', expires) .. known)
    end
    reply[#reply + 1] = string.format('%.0f ', expires - now) .. known
  else
    redis.call('HDEL', entries, all[i])
  end
end
return reply
