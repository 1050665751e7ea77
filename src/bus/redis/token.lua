-- Takes one token from the bucket of an address, in one atomic step (the generic cell rate algorithm). The scripts that do
-- so have it in front.
--
-- `bucket` is the key of when the bucket is full again, in microseconds, which is absent if it is full; `rate` is in tokens
-- per second (at most 1,000,000), `burst` the tokens in a full bucket.
--
-- Returns 0 if there was a token, else the microseconds to wait for one; and the error if Redis refuses to count. A refusal
-- takes nothing.
local function take_token(bucket, rate, burst)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local cost = 1000000 / rate

  local known = redis.pcall('GET', bucket)
  if type(known) == 'table' then return 0, known end
  -- At most the time that filling an empty bucket takes: the clock may have been set back.
  local stored = math.min(tonumber(known or '0'), now + cost * burst)
  local full_at = math.max(stored, now) + cost
  local wait = full_at - cost * burst - now
  if wait > 0 then
    return math.ceil(wait)
  end
  local set = redis.pcall('SET', bucket, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  return 0, set.err and set
end
