-- Gives out user ids, or only reads the last one, in one atomic step.
--
-- KEYS[1]  the last id that was given out; absent if there is none
-- ARGV     how many ids to give out
--
-- Returns the last id that was ever given out. Not INCRBY, so that the Redis user needs no further right.

local count = tonumber(ARGV[1])
local last = tonumber(redis.call('GET', KEYS[1]) or '0') + count
if count > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', last))
end
return last
