-- Takes one token from a bucket. token.lua stands in front of it.
--
-- KEYS[1]  the bucket
-- ARGV     tokens per second, tokens in a full bucket
--
-- Returns 0 if there was a token, else the microseconds to wait for one.

local wait, failure = take_token(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))
return failure or wait
