-- Returns the processes with subscribers that are alive, and lists one of them, in one atomic step.
--
-- KEYS[1]  a hash of when each process is considered dead, in Unix milliseconds, by process
-- ARGV     milliseconds after which a silent process is dead; then, unless they are only read, a process
--
-- Returns those that were listed before this call.

local processes = KEYS[1]
local ttl, process = tonumber(ARGV[1]), ARGV[2]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local reply = {}
local all = redis.call('HGETALL', processes)
for i = 1, #all, 2 do
  local dead_at = tonumber(all[i + 1])
  -- A later time than any call can set: the clock has been set back.
  if dead_at and dead_at > now and dead_at <= now + ttl then
    reply[#reply + 1] = all[i]
  else
    redis.call('HDEL', processes, all[i])
  end
end
if process then
  redis.call('HSET', processes, process, string.format('%.0f', now + ttl))
  redis.call('PEXPIRE', processes, ttl)
end
return reply
