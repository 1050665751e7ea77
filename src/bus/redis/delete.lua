-- Deletes one entry of a log, or all of them, and stores and announces an entry that says so, in one atomic step.
--
-- KEYS[1]  the room's log (a stream) and, by the same name, its channel
-- KEYS[2]  the deleted ids: a sorted set of runs by the number of their last id
-- ARGV     the id, or '*' for all; data of the new entry, node, messages to keep, seconds to keep the log
--
-- A run is the ids that were deleted side by side, and in front of them the one before, or '-' if that is
-- unknown; spaces between them. No id stands in two runs, and none ends where another begins.
--
-- Returns {id, outcome}: outcome is 'deleted', 'missing' (no such entry is retained, or it is itself of the
-- type delete) or 'forbidden' (the user lacks a right).

local log, runs = KEYS[1], KEYS[2]
local target, data, node, keep, log_seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- The most bytes of a run, some 12,000 ids.
local MAX_RUN_BYTES = 256 * 1024

-- Entries of the log that are read at once.
local CHUNK = 100

if redis.call('EXISTS', log) == 0 then return { '', 'missing' } end

local last = '0-0'
local info = redis.call('XINFO', 'STREAM', log)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end

local function number_of(id)
  return string.match(id, '%d+$')
end

local function field_of(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

-- Returns the id before an entry.
local function prev_of(entry)
  return field_of(entry, 'prev') or '-'
end

-- Returns the reply to a command that failed: that the user lacks a right, or else the error.
local function failure(reply)
  local lacks_right = string.find(reply.err, 'NOPERM', 1, true) or string.find(reply.err, "user executing the script can't", 1, true)
  return lacks_right and { '', 'forbidden' } or reply
end

local function is_error(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- The only command before the first write that the user may lack.
local known = redis.pcall('ZRANGEBYSCORE', runs, '-inf', '-inf')
if is_error(known) then return failure(known) end

-- Returns the run whose last id this is.
local function run_up_to(id)
  local number = number_of(id)
  for _, run in ipairs(number and redis.call('ZRANGEBYSCORE', runs, number, number) or {}) do
    if string.sub(run, -#id - 1) == ' ' .. id then return run end
  end
end

-- Collects a run from its last id on backwards, beginning with that one.
local newest_first, bytes, before = {}, 0, nil

-- Adds an entry to the run, and what was deleted between it and the rest. Returns false if something else is missing
-- there.
local function add(entry)
  local id = entry[1]
  if id ~= before then
    local run = run_up_to(before)
    if not run or string.sub(run, 1, #id + 1) ~= id .. ' ' then return false end
    newest_first[#newest_first + 1] = string.sub(run, #id + 2)
    bytes = bytes + #run
  end
  newest_first[#newest_first + 1] = id
  bytes, before = bytes + #id + 1, prev_of(entry)
  return bytes < MAX_RUN_BYTES
end

local until_id = last
local deleted
if target == '*' then
  before = last
  local bound = '+'
  repeat
    local chunk = redis.call('XREVRANGE', log, bound, '-', 'COUNT', CHUNK)
    local goes_on = #chunk == CHUNK
    for _, entry in ipairs(chunk) do
      if not add(entry) then
        goes_on = false
        break
      end
      bound = '(' .. entry[1]
    end
  until not goes_on
  deleted = redis.pcall('XTRIM', log, 'MAXLEN', 0)
else
  local entry = redis.call('XRANGE', log, target, target)[1]
  if not entry or field_of(entry, 'type') == 'delete' then return { '', 'missing' } end
  local next_entry = redis.call('XRANGE', log, '(' .. target, '+', 'COUNT', 1)[1]
  if next_entry then until_id = prev_of(next_entry) end
  before = until_id
  add(entry)
  deleted = redis.pcall('XDEL', log, target)
end
if is_error(deleted) then return failure(deleted) end

-- Remembers the run, in place of those that it continues.
if #newest_first > 0 then
  local ids = { run_up_to(before) or before }
  for i = #newest_first, 1, -1 do ids[#ids + 1] = newest_first[i] end
  local run = table.concat(ids, ' ')
  if #run > MAX_RUN_BYTES then
    run = string.sub(run, string.find(run, ' ', #run - MAX_RUN_BYTES, true) + 1)
  end
  local first_deleted = string.match(run, '^%S+ (%S+)')
  redis.call('ZREMRANGEBYSCORE', runs, number_of(first_deleted), number_of(until_id))
  redis.call('ZADD', runs, number_of(until_id), run)
end

-- Forgets the runs before the first entry that is retained: what came after them was trimmed.
local first_entry = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local before_first = number_of(first_entry and prev_of(first_entry) or last)
if before_first then redis.call('ZREMRANGEBYSCORE', runs, '-inf', '(' .. before_first) end

-- As in publish.lua.
local last_ms, last_n = string.match(last, '^(%d+)-(%d+)$')
local time = redis.call('TIME')
local ms = math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(last_ms))
local id = string.format('%.0f-%.0f', ms, tonumber(last_n) + 1)
local expiry = string.format('%.0f', tonumber(log_seconds) * 1000)

redis.call('XADD', log, 'MAXLEN', '~', keep, id, 'data', data, 'type', 'delete', 'node', node, 'prev', last)
redis.call('PEXPIRE', log, expiry)
redis.call('PEXPIRE', runs, expiry)
redis.call('PUBLISH', log, '\030' .. id .. ' delete ' .. data)
return { id, 'deleted' }
