-- What the scripts have in common that write to a log. It stands in front of each of them. PUBLISH is the command that
-- announces: PUBLISH, or SPUBLISH on a cluster.
--
-- KEYS[1]  the room's log (a stream) and, by the same name, its channel
-- KEYS[2]  the deleted ids, which are kept as long as the log: a sorted set of runs by the number of their last id
-- KEYS[3]  the messages that were edited, kept as long: a hash by their ids. A value is the id of the entry that tells
--          of the edit, a space, and the message as it is now
-- Both are absent if the log is used alone, as while a cluster moves its slot.

local log, runs, edits = KEYS[1], KEYS[2], KEYS[3]

local function number_of(id)
  return string.match(id, '%d+$')
end

local function field_of(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

local function entry_of(id)
  return redis.call('XRANGE', log, id, id)[1]
end

local function is_error(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- Returns the last id that the log has generated, and how many entries it retains. The id is not that of the last entry,
-- which may have been deleted: a number that is assigned twice loses a message.
local function state_of_log()
  local info = redis.pcall('XINFO', 'STREAM', log)
  if info.err then
    -- Without a log it is no error. With one, this fails in the same way.
    if redis.call('EXISTS', log) == 1 then redis.call('XINFO', 'STREAM', log) end
    return '0-0', 0
  end
  local last, length
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
    if info[i] == 'length' then length = info[i + 1] end
    if last and length then return last, length end
  end
end

-- Forgets the edits of messages that were trimmed.
local function forget_trimmed_edits()
  local ids = redis.pcall('HKEYS', edits)
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  -- A user without the right to see them has edited nothing.
  for _, id in ipairs(is_error(ids) and {} or ids) do
    if not first or tonumber(number_of(id)) < tonumber(number_of(first[1])) then redis.call('HDEL', edits, id) end
  end
end

-- Keeps what stands beside the log as long as the log, after an entry was appended.
local function keep_beside(is_first, length_before, expiry)
  if redis.call('EXISTS', runs, edits) == 0 then return end
  if is_first then
    redis.call('PEXPIRE', edits, 0) -- what another log had under this name is not of this one
  elseif redis.call('EXISTS', edits) == 1 then
    local _, length = state_of_log()
    if length <= length_before then forget_trimmed_edits() end
  end
  redis.call('PEXPIRE', runs, expiry)
  redis.call('PEXPIRE', edits, expiry)
end

-- Writes an entry at the end of the log. It states its predecessor, for the gap rule, its node if that is known, and its
-- idempotency key if that is not in its data.
local function write(id, prev, kind, data, node, keep, key)
  local optional, fields = { 'node', node, 'prev', prev, 'type', kind, 'key', key }, { 'data', data }
  for i = 1, #optional, 2 do
    if optional[i + 1] ~= '' then fields[#fields + 1], fields[#fields + 2] = optional[i], optional[i + 1] end
  end
  redis.call('XADD', log, 'MAXLEN', '~', keep, id, unpack(fields))
end

local function announce(id, kind, data)
  redis.call(PUBLISH, log, '\030' .. id .. ' ' .. kind .. ' ' .. data)
end

-- Appends an entry and announces it. `last` and `length` are the state of the log. Returns its id and that of its
-- predecessor.
local function append(kind, data, node, keep, log_seconds, key, last, length)
  local last_ms, last_n = string.match(last, '^(%d+)-(%d+)$')
  local time = redis.call('TIME')
  local ms = math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(last_ms))
  local id = string.format('%.0f-%.0f', ms, tonumber(last_n) + 1)
  -- The first write, since a Redis that is full refuses no other one of a script after it has let one through.
  write(id, last, kind, data, node, keep, key)
  local expiry = string.format('%.0f', tonumber(log_seconds) * 1000)
  redis.call('PEXPIRE', log, expiry)
  if runs then keep_beside(last == '0-0', length, expiry) end
  announce(id, kind, data)
  return id, last
end
