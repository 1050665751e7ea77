-- What the scripts have in common that take entries out of a log. log.lua and it stand in front of each of them.
--
-- A run is the ids that were deleted side by side, and in front of them the one before, or '-' if that is
-- unknown; spaces between them. No id stands in two runs, and none ends where another begins.

-- Entries of the log that are read at once.
local CHUNK = 100

-- The most bytes of a run, some 12,000 ids.
local MAX_RUN_BYTES = 256 * 1024

local last = state_of_log()

-- Returns the id before an entry.
local function prev_of(entry)
  return field_of(entry, 'prev') or '-'
end

-- Returns the reply to a command that failed: that the user lacks a right, or else the error.
local function failure(reply)
  local lacks_right = string.find(reply.err, 'NOPERM', 1, true) or string.find(reply.err, "user executing the script can't", 1, true)
  return lacks_right and { '', 'forbidden', '', '' } or reply
end

-- Returns the run whose last id this is.
local function run_up_to(id)
  local number = number_of(id)
  for _, run in ipairs(number and redis.call('ZRANGEBYSCORE', runs, number, number) or {}) do
    if string.sub(run, -#id - 1) == ' ' .. id then return run end
  end
end

-- Begins a run that is collected from its last id on backwards, beginning with that one.
local function run_before(last_id)
  return { last_id = last_id, newest_first = {}, bytes = 0, before = last_id }
end

-- Adds an entry to a run, and what was deleted between it and the rest. Returns false if something else is missing
-- there.
local function add(run, entry)
  local id = entry[1]
  if id ~= run.before then
    local between = run_up_to(run.before)
    if not between or string.sub(between, 1, #id + 1) ~= id .. ' ' then return false end
    run.newest_first[#run.newest_first + 1] = string.sub(between, #id + 2)
    run.bytes = run.bytes + #between
  end
  run.newest_first[#run.newest_first + 1] = id
  run.bytes, run.before = run.bytes + #id + 1, prev_of(entry)
  return run.bytes < MAX_RUN_BYTES
end

-- Remembers a run, in place of those that it continues.
local function remember(run)
  if #run.newest_first == 0 then return end
  local ids = { run_up_to(run.before) or run.before }
  for i = #run.newest_first, 1, -1 do ids[#ids + 1] = run.newest_first[i] end
  local text = table.concat(ids, ' ')
  if #text > MAX_RUN_BYTES then
    text = string.sub(text, string.find(text, ' ', #text - MAX_RUN_BYTES, true) + 1)
  end
  local first_deleted = string.match(text, '^%S+ (%S+)')
  redis.call('ZREMRANGEBYSCORE', runs, number_of(first_deleted), number_of(run.last_id))
  redis.call('ZADD', runs, number_of(run.last_id), text)
end

-- Takes an entry out of the log, and remembers its id. Returns the error if that fails.
local function remove(entry)
  local next_entry = redis.call('XRANGE', log, '(' .. entry[1], '+', 'COUNT', 1)[1]
  local run = run_before(next_entry and prev_of(next_entry) or last)
  add(run, entry)
  local removed = redis.pcall('XDEL', log, entry[1])
  if is_error(removed) then return removed end
  remember(run)
end

-- Takes all entries out of the log, and remembers their ids. Returns the error if that fails.
local function delete_all()
  local run, bound = run_before(last), '+'
  repeat
    local chunk = redis.call('XREVRANGE', log, bound, '-', 'COUNT', CHUNK)
    local goes_on = #chunk == CHUNK
    for _, older in ipairs(chunk) do
      if not add(run, older) then
        goes_on = false
        break
      end
      bound = '(' .. older[1]
    end
  until not goes_on
  local trimmed = redis.pcall('XTRIM', log, 'MAXLEN', 0)
  if is_error(trimmed) then return trimmed end
  remember(run)
  redis.call('PEXPIRE', edits, 0)
end

-- Forgets the runs before the first entry that is retained: what came after them was trimmed.
local function forget_trimmed_runs()
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  local before_first = number_of(first and prev_of(first) or last)
  if before_first then redis.call('ZREMRANGEBYSCORE', runs, '-inf', '(' .. before_first) end
end

-- Takes the entry that tells of a message's edit out of the log, if there is one. `edit` is the reply to HMGET. Returns
-- the error if that fails.
local function remove_edit(edit)
  local id = edit[1] and string.match(edit[1], '^(%S+) ')
  local entry = id and entry_of(id)
  if entry then return remove(entry) end
end

-- Takes an entry out of the log, with what there is of its edit. `edit` is the reply to HMGET. Returns the error if that
-- fails.
local function remove_with_edit(entry, edit)
  local failed = remove_edit(edit) or remove(entry)
  if failed then return failed end
  if edit[1] then redis.call('HDEL', edits, entry[1]) end
end

-- Returns the message in an entry if a mark is its own. The comparison takes the same time for all marks.
local function own_message(entry, mark)
  local is_json, message = pcall(cjson.decode, field_of(entry, 'data') or '')
  if not is_json or type(message) ~= 'table' then return nil end
  local own = message.mark
  if type(own) ~= 'string' or #own ~= #mark or type(message.sender) ~= 'string' then return nil end
  local difference = 0
  for i = 1, #mark do
    difference = bit.bor(difference, bit.bxor(string.byte(own, i), string.byte(mark, i)))
  end
  return difference == 0 and message or nil
end

-- Returns a message as it is after an edit. `sender` and `text` are JSON.
local function edited(sender, text, message)
  local key = type(message.key) == 'string' and ',"key":' .. cjson.encode(message.key) or ''
  return '{"sender":' .. sender .. ',"message":' .. text .. key .. ',"mark":"' .. message.mark .. '","edited":true}'
end
