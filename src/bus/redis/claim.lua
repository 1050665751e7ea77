-- Says how many streams of some addresses a process has open, and asks for more, in one step.
--
-- KEYS     for each address: a hash of '<expires at, Unix milliseconds> <open streams>' by process
-- ARGV     process, the most that an address may have, milliseconds to remember; then for each address
--          in turn: how many are open, how many more are wanted
--
-- Answers for each address how many more may be opened; they count as open from now on.

local process, most, memory = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The streams that an address has by way of other processes; those that said nothing for too long are gone.
local function elsewhere(key)
  local sum = 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local expires, open = string.match(all[i + 1], '^(%d+) (%d+)$')
    if not expires or tonumber(expires) <= now then
      redis.call('HDEL', key, all[i])
    elseif all[i] ~= process then
      sum = sum + tonumber(open)
    end
  end
  return sum
end

local answer = {}
for i, key in ipairs(KEYS) do
  local open, wanted = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
  local granted = math.max(0, math.min(wanted, most - open - elsewhere(key)))
  if open + granted > 0 then
    redis.call('HSET', key, process, string.format('%.0f %.0f', now + memory, open + granted))
    redis.call('PEXPIRE', key, memory)
  else
    redis.call('HDEL', key, process)
  end
  answer[i] = granted
end
return answer
