-- Reads part of a log, and what the gap rule needs, in one atomic step. run.lua stands in front of it.
--
-- KEYS[1]  the room's log
-- KEYS[2]  the deleted ids, as removal.lua keeps them; absent if the log is read alone
-- KEYS[3]  the messages that were edited, as log.lua has them; absent if entries are to be read as they were stored
-- ARGV     span (newest, before, after, from), id, most entries, most bytes, what to return of the data
--          ('text', or 'size': its length)
--
-- Returns {first retained id or '', last generated id, 1 if the limits cut the span short, entries oldest
-- first, 1 if all that there ever was between the id and the entries after it was deleted}. At least one
-- entry is read, whatever its size. 'from' puts the anchor in front: the entry with the id, or else the
-- last one before it; its data is empty. Only with 'from' it is known what was deleted. If the log is read
-- alone, the last element is the id up to which it has to be, or '' if that makes no difference.

local log, runs, edits, span, id = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
local max_entries, max_bytes, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

-- The most entries that are read first, before it is known how large they are: what exceeds the limits is copied in vain.
local FIRST_CHUNK = 64

local nothing_deleted = runs and 0 or ''
local info = redis.pcall('XINFO', 'STREAM', log)
if info.err then
  if redis.call('EXISTS', log) == 0 then return { '', '0-0', 0, {}, nothing_deleted } end
  return info
end

local function bytes_of(fields)
  local sum = 0
  for i = 1, #fields do sum = sum + #fields[i] end
  return sum
end

-- The largest of the oldest and the newest entry, which come with the state of the log: others may be as large.
local first, last, sample_bytes = '', '0-0', 1
for i = 1, #info, 2 do
  local name, value = info[i], info[i + 1]
  if name == 'last-generated-id' then last = value end
  if name == 'first-entry' and value then first = value[1] end
  if (name == 'first-entry' or name == 'last-entry') and value then
    sample_bytes = math.max(sample_bytes, bytes_of(value[2]))
  end
end

-- Replaces the data of an entry by its length, or by nothing.
local function without_data(entry, with_size)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'data' then fields[i + 1] = with_size and tostring(#fields[i + 1]) or '' end
  end
  return entry
end

-- An edit is told by an entry after the message: who reads from the end on finds it first.
local may_have_edits = edits and span ~= 'newest' and redis.call('EXISTS', edits) == 1

local function field_of(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

-- Replaces the data of messages that were edited by those that they have now.
local function apply_edits(entries)
  if edits and span == 'newest' then
    for _, entry in ipairs(entries) do may_have_edits = may_have_edits or field_of(entry, 'type') == 'edit' end
  end
  if not may_have_edits or #entries == 0 then return end
  local ids = {}
  for i, entry in ipairs(entries) do ids[i] = entry[1] end
  local messages = redis.pcall('HMGET', edits, unpack(ids))
  -- A user without the right to see them reads what was stored.
  if messages.err then return end
  for i, entry in ipairs(entries) do
    local fields = entry[2]
    for j = 1, messages[i] and #fields or 0, 2 do
      if fields[j] == 'data' then fields[j + 1] = string.match(messages[i], '^%S+ (.*)$') or fields[j + 1] end
    end
  end
end

-- Reads chunk by chunk in one direction, from a bound on, until a limit is reached.
local function read(command, bound, limit)
  local entries, bytes = {}, 0
  local count = math.min(FIRST_CHUNK, max_entries + 1, math.ceil(max_bytes / sample_bytes) + 1)
  while true do
    local chunk = redis.call(command, log, bound, limit, 'COUNT', count)
    apply_edits(chunk)
    for _, entry in ipairs(chunk) do
      local size = bytes_of(entry[2])
      if #entries == max_entries or #entries > 0 and bytes + size > max_bytes then return entries, 1 end
      bytes = bytes + size
      entries[#entries + 1] = wanted == 'size' and without_data(entry, true) or entry
    end
    if #chunk < count then return entries, 0 end
    bound = '(' .. entries[#entries][1]
    -- As many as fit if they are as large as those before, and one that shows whether there are more.
    local fitting = math.floor((max_bytes - bytes) * #entries / math.max(bytes, 1))
    count = math.max(0, math.min(fitting, max_entries - #entries)) + 1
  end
end

local entries, more, only_deleted = {}, 0, nothing_deleted
if span == 'newest' or span == 'before' then
  local bound = span == 'newest' and '+' or '(' .. id
  -- Redis refuses a range that ends before 0-0. No entry can be there.
  if id ~= '0-0' or span == 'newest' then
    local newest_first
    newest_first, more = read('XREVRANGE', bound, '-')
    for i = #newest_first, 1, -1 do entries[#entries + 1] = newest_first[i] end
  end
else
  entries, more = read('XRANGE', '(' .. id, '+')
  if span == 'from' then
    local anchor = redis.call('XREVRANGE', log, id, '-', 'COUNT', 1)[1]
    local before = last
    if entries[1] then before = field_of(entries[1], 'prev') end -- if the entry states it
    local is_continuous = before == id or anchor and anchor[1] == id
    if before and not is_continuous then
      only_deleted = runs and (is_deleted(runs, id, before) and 1 or 0) or before
    end
    if anchor then table.insert(entries, 1, without_data(anchor, false)) end
  end
end
return { first, last, more, entries, only_deleted }
