-- Counts one message of an address (the generic cell rate algorithm), or refuses it, in one step.
--
-- KEYS[1]  when the address will have its whole burst again, in microseconds; no such key: it has it
-- ARGV     messages per second, messages at once
--
-- Answers 0 where the message may go, else the microseconds to wait for it. A refused message costs
-- nothing.

local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost = 1000000 / rate

-- No later than a whole burst can be: the clock may have gone back.
local known = math.min(tonumber(redis.call('GET', KEYS[1]) or '0'), now + cost * burst)
local whole = math.max(known, now) + cost
local wait = whole - cost * burst - now
if wait > 0 then
  return math.ceil(wait)
end
redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
return 0
