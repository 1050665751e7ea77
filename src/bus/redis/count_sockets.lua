-- Counts sockets of a key as living from now on, in one atomic step.
--
-- KEYS[1]  the living sockets of the key by when they expire, in Unix milliseconds: a sorted set
-- ARGV     the most that may live for another one to be counted, or -1 to count in any case; milliseconds that they live;
--          their ids
--
-- Returns 1 if they were counted, else 0.

local living, max, ttl = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREMRANGEBYSCORE', living, '-inf', string.format('%.0f', now))
-- A later expiry than any call can set: the clock has been set back.
redis.call('ZREMRANGEBYSCORE', living, string.format('(%.0f', now + ttl), '+inf')
if max >= 0 and redis.call('ZCARD', living) >= max then
  return 0
end
for i = 3, #ARGV do
  redis.call('ZADD', living, string.format('%.0f', now + ttl), ARGV[i])
end
redis.call('PEXPIRE', living, ttl)
return 1
