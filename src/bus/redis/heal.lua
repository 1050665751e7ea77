-- Restores entries that a log has lost, with their ids, in one atomic step. log.lua and removal.lua stand in front of it.
-- What several nodes have of a log is put together in a hash of entries that were offered.
--
-- KEYS[4]  a key that never exists
-- KEYS[5]  the entries that were offered, by their ids
-- ARGV     what to do if there is no log: 'tell', 'offer' (put the entries together with those of other nodes) or 'fill'
--          (restore those); messages to keep, seconds to keep the log, milliseconds to remember an idempotency key,
--          milliseconds for which an offer stands; then for each entry: id, id of its predecessor, 'removed' or '', type,
--          data, node, the idempotency key if the entry has to state it beside its data, else ''
--
-- If there is a log, it is continued with the entries as long as the last id that it has generated is exactly the
-- predecessor of the next one. What does not follow it is offered.
--
-- Returns {last id that the log has generated before this call, number of entries that were restored, ids that are offered
-- if there is no log}.

local offers = KEYS[5]
local without_log, keep, log_seconds, key_ms, offer_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local FIRST, FIELDS = 6, 7

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_absent = redis.call('EXISTS', log) == 0
local last_before = last

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

-- Adds what was offered. An entry that a node has seen removed is removed.
local function add_offered(entries)
  local offered = redis.call('HGETALL', offers)
  for i = 1, #offered, 2 do
    local id, entry = offered[i], cmsgpack.unpack(offered[i + 1])
    if not entries[id] or entry[3] ~= '' then entries[id] = entry end
  end
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

-- Returns the longest unbroken end of the entries: before it something is missing.
local function unbroken_end(entries)
  local newest
  for _, entry in pairs(entries) do
    if not newest or is_later(entry[1], newest[1]) then newest = entry end
  end
  if not newest or ms_of(newest[1]) + log_seconds * 1000 <= now then return {} end
  local newest_first = {}
  while newest do
    newest_first[#newest_first + 1] = newest
    newest = entries[newest[2]]
  end
  local following = {}
  for i = #newest_first, 1, -1 do following[#following + 1] = newest_first[i] end
  return following
end

-- Remembers an id as deleted, together with those directly before it.
local function remember_deleted(id, prev)
  local run = run_up_to(prev)
  if run then redis.call('ZREMRANGEBYSCORE', runs, number_of(prev), number_of(prev)) end
  if not run or #run > MAX_RUN_BYTES then run = prev end
  redis.call('ZADD', runs, number_of(id), run .. ' ' .. id)
end

-- Repeats what an entry changed of those before it. Returns the message that it has edited.
local function repeat_change(kind, data)
  local target = string.match(data, '"id":"(%d+-%d+)"')
  if kind == 'delete' and not target then
    delete_all()
    return
  end
  local edit = redis.call('HMGET', edits, target)
  remove_edit(edit)
  local entry = entry_of(target)
  if kind == 'edit' or not entry then return entry end
  remove(entry)
  if edit[1] then redis.call('HDEL', edits, target) end
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

local function restore(entry)
  local id, prev, kind, data, node, key = entry[1], entry[2], entry[4], entry[5], entry[6], entry[7]
  local of_edit
  if kind == 'delete' or kind == 'edit' then of_edit = repeat_change(kind, data) end
  local fields = { 'data', data, 'prev', prev }
  if node ~= '' then fields[#fields + 1], fields[#fields + 2] = 'node', node end
  if kind ~= '' then fields[#fields + 1], fields[#fields + 2] = 'type', kind end
  if key ~= '' then fields[#fields + 1], fields[#fields + 2] = 'key', key end
  redis.call('XADD', log, 'MAXLEN', '~', keep, id, unpack(fields))
  last = id
  if of_edit then remember_edit(id, data, of_edit) end
  redis.call(PUBLISH, log, '\030' .. id .. ' ' .. kind .. ' ' .. data)
  remember_key(entry)
end

-- Restores entries that follow each other. Those at the end that were removed are left out: a log ends with an entry.
local function restore_all(entries)
  local restored, removed = 0, {}
  for _, entry in ipairs(entries) do
    if entry[3] ~= '' then
      removed[#removed + 1] = entry
    else
      for _, before in ipairs(removed) do remember_deleted(before[1], before[2]) end
      removed = {}
      restore(entry)
      restored = restored + 1
    end
  end
  if restored > 0 then
    local left = log_seconds * 1000 - math.max(0, now - ms_of(last))
    local expiry = string.format('%.0f', math.max(1, left))
    for _, key in ipairs({ log, runs, edits }) do redis.call('PEXPIRE', key, expiry) end
  end
  return restored
end

local given = given_entries()
if is_absent and without_log ~= 'fill' then
  if without_log == 'offer' then offer(given) end
  local ids = redis.pcall('HKEYS', offers)
  return { last_before, 0, is_error(ids) and {} or ids }
end

local entries = given_entries()
add_offered(entries)
local following
if is_absent then
  redis.call('PEXPIRE', edits, 0) -- what another log had under this name is not of this one
  following = unbroken_end(entries)
else
  following = entries_after(last, entries)
end
local restored = restore_all(following)
for _, entry in ipairs(following) do given[entry[1]] = nil end
for id, entry in pairs(given) do
  -- Another node has restored it, which did not know its key.
  if entry[7] ~= '' and entry_of(id) then
    remember_key(entry)
    given[id] = nil
  end
end
if not is_absent then offer(given) end
return { last_before, restored, {} }
