-- Says that a process lives and how many streams of some addresses it has open, and asks for more, in one
-- step.
--
-- KEYS[1]  the processes, by when they are taken for dead, in Unix milliseconds: a sorted set
-- KEYS     then for each address: a hash of its open streams by process
-- ARGV     process, the most that an address may have, milliseconds that a silent process lives,
--          milliseconds to keep what is not repeated; then for each address in turn: how many are open,
--          how many more are wanted
--
-- Answers for each address how many more may be opened; they count as open from now on.

local processes = KEYS[1]
local process, most, life, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREMRANGEBYSCORE', processes, '-inf', string.format('%.0f', now))
redis.call('ZREMRANGEBYSCORE', processes, string.format('(%.0f', now + life), '+inf') -- the clock has gone back
redis.call('ZADD', processes, string.format('%.0f', now + life), process)
redis.call('PEXPIRE', processes, life)

-- The streams that an address has by way of other processes. Those of the dead are forgotten.
local function elsewhere(key)
  local sum = 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if not redis.call('ZSCORE', processes, all[i]) then
      redis.call('HDEL', key, all[i])
    elseif all[i] ~= process then
      sum = sum + tonumber(all[i + 1])
    end
  end
  return sum
end

local answer = {}
for i = 2, #KEYS do
  local key, open, wanted = KEYS[i], tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  local granted = math.max(0, math.min(wanted, most - open - elsewhere(key)))
  if open + granted > 0 then
    redis.call('HSET', key, process, open + granted)
    redis.call('PEXPIRE', key, kept)
  else
    redis.call('HDEL', key, process)
  end
  answer[i - 1] = granted
end
return answer
