-- Records that a process is alive and how many streams of some addresses it has open, and reserves more
-- for it, in one atomic step.
--
-- KEYS[1]  the processes by when they are considered dead, in Unix milliseconds: a sorted set
-- KEYS     then, for each address, a hash of its open streams by process
-- ARGV     process, maximum per address, milliseconds after which a silent process is dead, milliseconds
--          to keep a reservation; then, for each address, its open and its wanted streams
--
-- Returns for each address how many more streams were granted. They count as open from now on.

local processes = KEYS[1]
local process, max, process_ttl, key_ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREMRANGEBYSCORE', processes, '-inf', string.format('%.0f', now))
-- A later expiry than any call can set: the clock has been set back.
redis.call('ZREMRANGEBYSCORE', processes, string.format('(%.0f', now + process_ttl), '+inf')
redis.call('ZADD', processes, string.format('%.0f', now + process_ttl), process)
redis.call('PEXPIRE', processes, process_ttl)

-- Returns the streams that an address has in other processes, and deletes those of dead processes.
local function open_elsewhere(key)
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

local reply = {}
for i = 2, #KEYS do
  local key, open, wanted = KEYS[i], tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  local granted = math.max(0, math.min(wanted, max - open - open_elsewhere(key)))
  if open + granted > 0 then
    redis.call('HSET', key, process, open + granted)
    redis.call('PEXPIRE', key, key_ttl)
  else
    redis.call('HDEL', key, process)
  end
  reply[i - 1] = granted
end
return reply
