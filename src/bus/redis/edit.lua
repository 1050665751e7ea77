-- Gives a message another text, and stores and announces an entry that says so in place of the one that told of its edit
-- before, in one atomic step. log.lua and removal.lua stand in front of it.
--
-- ARGV     the id of the message, the mark that it has to have, its new text as JSON, node, messages to keep, seconds
--          to keep the log
--
-- Returns {id, outcome}: outcome is 'missing' (no such message is retained), 'other' (the mark is another one), 'forbidden'
-- (the user lacks a right) or 'edited', with the id of the predecessor and the data of the new entry.

local target, mark, text, node, keep, log_seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local entry = entry_of(target)
if not entry or field_of(entry, 'type') then return { '', 'missing', '', '' } end
local message = own_message(entry, mark)
if not message then return { '', 'other', '', '' } end

-- The only commands before the first write that the user may lack.
local rights = { { 'ZRANGEBYSCORE', runs, '-inf', '-inf' }, { 'HKEYS', edits }, { 'HMGET', edits, target } }
local edit
for _, right in ipairs(rights) do
  edit = redis.pcall(unpack(right))
  if is_error(edit) then return failure(edit) end
end

local failed = remove_edit(edit)
if failed then return failure(failed) end
forget_trimmed_runs()
local sender = cjson.encode(message.sender)
local data = string.format('{"id":"%s","sender":', target) .. sender .. ',"message":' .. text .. '}'
local id, prev = append('edit', data, node, keep, log_seconds, '', state_of_log())
redis.call('HSET', edits, target, id .. ' ' .. edited(sender, text, message))
redis.call('PEXPIRE', edits, string.format('%.0f', tonumber(log_seconds) * 1000))
forget_trimmed_edits()
return { id, 'edited', prev, data }
