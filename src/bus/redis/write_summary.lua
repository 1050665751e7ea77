-- Stores the newest summaries of one process, and announces that there are some, in one atomic step.
--
-- KEYS[1]  a hash of when each process wrote last, in Unix milliseconds, by process
-- KEYS     then, for each ring that is written, a hash of its slots, by their places
-- ARGV     the channel on which new summaries are announced, which is in the slot of the keys; process; milliseconds for
--          which the first hash is kept; how many processes are kept; then for each ring milliseconds for which it is
--          kept, how many fields follow, and these with their values

local processes, channel = KEYS[1], ARGV[1]
local process, keep, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local at = 5
for i = 2, #KEYS do
  local ttl, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, count do
    redis.call('HSET', KEYS[i], ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  redis.call('PEXPIRE', KEYS[i], ttl)
end

redis.call('HSET', processes, process, string.format('%.0f', now))
redis.call('PEXPIRE', processes, keep)
local known = {}
local all = redis.call('HGETALL', processes)
for i = 1, #all, 2 do
  local written = tonumber(all[i + 1])
  -- A later time than any call can set: the clock has been set back.
  if written and written > now - keep and written <= now then
    known[#known + 1] = { all[i], written }
  else
    redis.call('HDEL', processes, all[i])
  end
end
table.sort(known, function(a, b) return a[2] > b[2] end)
for i = most + 1, #known do
  redis.call('HDEL', processes, known[i][1])
end
redis.call(PUBLISH, channel, '{}')
return 0
