-- Restores entries that a log has lost, with their ids, in one atomic step. log.lua and removal.lua stand in front of it.
--
-- If there is a log, it is continued with the entries as long as the last id that it has generated is exactly the
-- predecessor of the next one. An absent log is filled: what several nodes have of it is put together in a hash of entries
-- that were offered, and its longest unbroken end becomes the log. What a node offers later, and what comes directly before
-- that end, is put in front of it.
--
-- KEYS[4]  a key that never exists
-- KEYS[5]  the entries that were offered, by their ids
-- KEYS[6]  a key that exists if the log was filled a short while ago
-- ARGV     what to do with entries that do not continue the log: 'offer', or 'fill' (restore all that was offered); messages
--          to keep, seconds to keep the log, milliseconds to remember an idempotency key, milliseconds for which offers
--          stand; then for each entry: id, id of its predecessor, 'removed' or '', type, data, node, the idempotency key if
--          the entry has to state it beside its data, else ''
--
-- Returns {state of the log before this call: 'whole', 'filled', 'absent', or 'gone' (it was filled and then removed), the
-- last id that it has generated, that of its first entry or '', number of entries that were restored, ids that are
-- offered}.

local offers, filled = KEYS[5], KEYS[6]
local mode, keep, log_seconds, key_ms, offer_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local FIRST, FIELDS = 6, 7

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_absent, was_filled = redis.call('EXISTS', log) == 0, redis.call('EXISTS', filled) == 1
local last_before, first_before = last, redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]

local function ms_of(id)
  return tonumber(string.match(id, '^%d+'))
end

local function is_later(id, other)
  local number, other_number = tonumber(number_of(id)), tonumber(number_of(other))
  return ms_of(id) > ms_of(other) or ms_of(id) == ms_of(other) and number > other_number
end

-- Returns the given entries: lists of the arguments, by their ids.
local function given_entries()
  local entries = {}
  for i = FIRST, #ARGV, FIELDS do
    local entry = {}
    for j = 0, FIELDS - 1 do entry[j + 1] = ARGV[i + j] end
    entries[entry[1]] = entry
  end
  return entries
end

local function offer(entries)
  local is_any = false
  for id, entry in pairs(entries) do
    redis.call('HSET', offers, id, cmsgpack.pack(entry))
    is_any = true
  end
  if is_any then redis.call('PEXPIRE', offers, offer_ms) end
end

-- Returns some entries and all that were offered. An entry that a node has seen removed is removed.
local function with_offered(given)
  local entries, offered = {}, redis.call('HGETALL', offers)
  for id, entry in pairs(given) do entries[id] = entry end
  for i = 1, #offered, 2 do
    local id, entry = offered[i], cmsgpack.unpack(offered[i + 1])
    if not entries[id] or entry[3] ~= '' then entries[id] = entry end
  end
  return entries
end

-- Returns the entries that follow an id, each the next of the one before.
local function entries_after(id, entries)
  local by_prev, following = {}, {}
  for _, entry in pairs(entries) do
    local other = by_prev[entry[2]]
    if not other or is_later(entry[1], other[1]) then by_prev[entry[2]] = entry end
  end
  while by_prev[id] do
    following[#following + 1] = by_prev[id]
    id = by_prev[id][1]
  end
  return following
end

-- Returns the entries up to one, each the next of the one before, as far as they are known.
local function entries_up_to(id, entries)
  local newest_first, following = {}, {}
  while entries[id] do
    newest_first[#newest_first + 1] = entries[id]
    id = entries[id][2]
  end
  for i = #newest_first, 1, -1 do following[#following + 1] = newest_first[i] end
  return following
end

-- Returns the longest unbroken end of the entries: before it something is missing.
local function unbroken_end(entries)
  local newest
  for id in pairs(entries) do
    if not newest or is_later(id, newest) then newest = id end
  end
  if not newest or ms_of(newest) + log_seconds * 1000 <= now then return {} end
  return entries_up_to(newest, entries)
end

-- Remembers the ids of entries as deleted, which follow each other.
local function remember_deleted(entries)
  if #entries == 0 then return end
  local run = run_before(entries[#entries][1])
  for i = #entries, 1, -1 do run.newest_first[#run.newest_first + 1] = entries[i][1] end
  run.before = entries[1][2]
  remember(run)
end

-- Returns the id of the entry that one of this type tells of, '*' if it tells of all, or nil.
local function target_of(kind, data)
  if kind == 'delete' and string.find(data, '"all":true', 1, true) then return '*' end
  if kind == 'delete' or kind == 'edit' then return string.match(data, '"id":"(%d+-%d+)"') end
end

-- Marks those of some entries as removed that later ones have removed: what was deleted, and all edits of a message but the
-- last.
local function mark_removed(entries)
  local deleted, edited_later = {}, {}
  for i = #entries, 1, -1 do
    local id, prev, kind = entries[i][1], entries[i][2], entries[i][4]
    local target = target_of(kind, entries[i][5])
    local is_old_edit = kind == 'edit' and (deleted[target] or edited_later[target])
    if deleted['*'] or deleted[id] or is_old_edit then
      entries[i] = { id, prev, 'removed', '', '', '', '' }
    elseif target then
      local later = kind == 'delete' and deleted or edited_later
      later[target] = true
    end
  end
end

-- Repeats what an entry changed of those before it. Returns the message that it has edited.
local function repeat_change(kind, data)
  local target = target_of(kind, data)
  if target == '*' then delete_all() end
  if not target or target == '*' then return end
  local edit, entry = redis.call('HMGET', edits, target), entry_of(target)
  if kind == 'delete' and entry then
    remove_with_edit(entry, edit)
    return
  end
  remove_edit(edit)
  return entry
end

-- Remembers how a message is now.
local function remember_edit(id, data, entry)
  local target, sender, text = string.match(data, '^{"id":"([^"]*)","sender":(".-"),"message":(".*")}$')
  local is_json, message = pcall(cjson.decode, field_of(entry, 'data') or '')
  if not target or not is_json or type(message) ~= 'table' or type(message.mark) ~= 'string' then return end
  redis.call('HSET', edits, target, id .. ' ' .. edited(sender, text, message))
end

-- Remembers what was published under an idempotency key.
local function remember_key(entry)
  local id, kind, data, key = entry[1], entry[4], entry[5], entry[7]
  -- A message has its key in its data.
  if kind == '' then key = string.match(data, '"key":"([^"]*)"') or '' end
  local left = key_ms - math.max(0, now - ms_of(id))
  if key == '' or left <= 0 then return end
  local digest = redis.sha1hex(kind == '' and data or kind .. '\n' .. data)
  redis.call('SET', log .. ':key:' .. key, id .. ' ' .. digest, 'PX', string.format('%.0f', left))
end

local function restore(entry, announces)
  local id, prev, kind, data, node, key = entry[1], entry[2], entry[4], entry[5], entry[6], entry[7]
  local of_edit = repeat_change(kind, data)
  write(id, prev, kind, data, node, keep, key)
  last = id
  if of_edit then remember_edit(id, data, of_edit) end
  if announces then announce(id, kind, data) end
  remember_key(entry)
end

-- Restores entries that follow each other. Returns how many it were, and those at the end that were removed: a log ends with
-- an entry.
local function restore_all(entries, announces)
  mark_removed(entries)
  local restored, removed = 0, {}
  for _, entry in ipairs(entries) do
    if entry[3] ~= '' then
      removed[#removed + 1] = entry
    else
      remember_deleted(removed)
      removed = {}
      restore(entry, announces)
      restored = restored + 1
    end
  end
  return restored, removed
end

-- Puts entries in front of the log, which is written anew, since Redis only appends. Returns how many it were. What those of
-- the log have changed stays changed.
local function put_in_front(entries)
  local rest = redis.call('XRANGE', log, '-', '+')
  local end_of_log = last
  if rest[#rest][1] ~= end_of_log then return 0 end
  local front = #entries
  for _, entry in ipairs(rest) do
    entries[#entries + 1] = { entry[1], prev_of(entry), '', field_of(entry, 'type') or '', field_of(entry, 'data') or '' }
  end
  mark_removed(entries)
  for i = #entries, front + 1, -1 do entries[i] = nil end
  -- A Redis that is full refuses this, and nothing that comes after it.
  redis.call('SET', filled, '1', 'PX', offer_ms)
  redis.call('PEXPIRE', log, 0)
  local restored, removed = restore_all(entries, false)
  remember_deleted(removed)
  for _, entry in ipairs(rest) do
    redis.call('XADD', log, entry[1], unpack(entry[2]))
    local kind, data = field_of(entry, 'type'), field_of(entry, 'data') or ''
    local target = kind == 'edit' and target_of(kind, data)
    local edited_message = target and entry_of(target)
    if edited_message then remember_edit(entry[1], data, edited_message) end
  end
  last = end_of_log
  return restored
end

-- Has the log expire when it would have done so.
local function keep_log()
  local left = log_seconds * 1000 - math.max(0, now - ms_of(last))
  local expiry = string.format('%.0f', math.max(1, left))
  for _, key in ipairs({ log, runs, edits }) do redis.call('PEXPIRE', key, expiry) end
end

local state = 'whole'
if is_absent then
  state = was_filled and 'gone' or 'absent'
elseif was_filled then
  state = 'filled'
end

local given, restored = given_entries(), 0
if state ~= 'gone' and (mode == 'fill' or not is_absent) then
  local entries = with_offered(given)
  local following, preceding
  if is_absent then
    redis.call('PEXPIRE', edits, 0) -- what another log had under this name is not of this one
    following = unbroken_end(entries)
    if #following > 0 then redis.call('SET', filled, '1', 'PX', offer_ms) end
  else
    following = entries_after(last, entries)
  end
  restored = restore_all(following, true)
  if state == 'filled' and mode == 'fill' and first_before then
    preceding = entries_up_to(field_of(first_before, 'prev'), entries)
    if #preceding > 0 then restored = restored + put_in_front(preceding) end
  end
  if restored > 0 or preceding then keep_log() end
  for _, entry in ipairs(following) do given[entry[1]] = nil end
end
for id, entry in pairs(given) do
  -- Another node has restored it, which did not know its key.
  if entry[7] ~= '' and entry_of(id) then
    remember_key(entry)
    given[id] = nil
  end
end
local offered = {}
if state ~= 'gone' then
  offer(given)
  local ids = redis.pcall('HKEYS', offers)
  if not is_error(ids) and mode == 'offer' and #ARGV < FIRST then offered = ids end
end
return { state, last_before, first_before and first_before[1] or '', restored, offered }
