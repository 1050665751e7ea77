-- Tries each command that the other scripts use, in a form that leaves nothing behind, and returns those that Redis
-- refuses. PUBLISH is the command that announces.
--
-- KEYS[1]  a key that no room has
-- ARGV     a channel to which nothing but this node's own check may subscribe
--
-- Returns for each command that failed its name, a space and the error.

local key, channel = KEYS[1], ARGV[1]
local attempts = {
  { 'TIME' },
  { 'EXISTS', key },
  { 'HSET', key, 'f', '1' },
  { 'HGETALL', key },
  { 'HMGET', key, 'f' },
  { 'HKEYS', key },
  { 'PEXPIRE', key, 1000 },
  { 'HDEL', key, 'f' },
  { 'ZADD', key, 0, 'm' },
  { 'ZSCORE', key, 'm' },
  { 'ZCARD', key },
  { 'PEXPIRE', key, 1000 },
  { 'ZREMRANGEBYSCORE', key, '-inf', '+inf' },
  { 'ZRANGEBYSCORE', key, 0, 0 },
  { 'GET', key },
  { 'SET', key, '1', 'XX' },
  { 'XADD', key, 'NOMKSTREAM', '*', 'f', 'v' },
  { 'XRANGE', key, '-', '+', 'COUNT', 1 },
  { 'XREVRANGE', key, '+', '-', 'COUNT', 1 },
  { 'XINFO', 'STREAM', key },
  { 'XDEL', key, '0-1' },
  { 'XTRIM', key, 'MAXLEN', 0 },
  { PUBLISH, channel, '' },
}

local refused = {}
for _, attempt in ipairs(attempts) do
  local reply = redis.pcall(unpack(attempt))
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = attempt[1] .. ' ' .. reply.err
  end
end
return refused
