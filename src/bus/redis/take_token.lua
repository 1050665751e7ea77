-- Takes one token from the bucket of an address, in one atomic step (the generic cell rate algorithm).
--
-- KEYS[1]  when the bucket is full again, in microseconds; absent if it is full
-- ARGV     tokens per second (at most 1,000,000), tokens in a full bucket
--
-- Returns 0 if there was a token, else the microseconds to wait for one. A refusal takes nothing.

local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost = 1000000 / rate

-- At most the time that filling an empty bucket takes: the clock may have been set back.
local stored = math.min(tonumber(redis.call('GET', KEYS[1]) or '0'), now + cost * burst)
local full_at = math.max(stored, now) + cost
local wait = full_at - cost * burst - now
if wait > 0 then
  return math.ceil(wait)
end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
