-- Says who is in a room by way of one process, and gives who is there by way of any, in one step.
--
-- KEYS[1]  who is in the room: a hash of '<expires at, Unix milliseconds> <attendance>' by process
-- KEYS[2]  the room's channel
-- ARGV     milliseconds to remember; then, unless it is only asked: process, attendance, or '' where
--          the process leaves, and what to announce
--
-- Answers the attendances that are not too old, each after the milliseconds until it is, and a space;
-- and forgets the others.

local known, channel = KEYS[1], KEYS[2]
local memory, process, attendance, announcement = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if process then
  if attendance == '' then
    redis.call('HDEL', known, process)
  else
    redis.call('HSET', known, process, string.format('%.0f ', now + memory) .. attendance)
    redis.call('PEXPIRE', known, memory)
  end
  redis.call('PUBLISH', channel, announcement)
end

local answer = {}
local all = redis.call('HGETALL', known)
for i = 1, #all, 2 do
  local expires, said = string.match(all[i + 1], '^(%d+) (.*)$')
  if expires and tonumber(expires) > now then
    answer[#answer + 1] = string.format('%.0f ', tonumber(expires) - now) .. said
  else
    redis.call('HDEL', known, all[i])
  end
end
return answer
