-- Returns the salt of marks, and stores one first if there is none, in one atomic step.
--
-- KEYS[1]  the salt, 64 hex digits
-- ARGV     the salt to store if there is none
--
-- A node offers the salt that it had before: a Redis that lost it gets the same again.

local known = redis.call('GET', KEYS[1])
if known then return known end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
