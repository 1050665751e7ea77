-- Deletes one entry of a log, or all of them, and stores and announces an entry that says so, in one atomic step.
-- log.lua and removal.lua stand in front of it.
--
-- ARGV     the id, or '*' for all; the mark that a message has to have, '' for any entry; data of the new entry, node,
--          messages to keep, seconds to keep the log
--
-- Returns {id, outcome}: outcome is 'missing' (no such entry is retained, or it tells of a deletion or an edit, or is no
-- message), 'other' (the mark is another one), 'forbidden' (the user lacks a right) or 'deleted', with the id of the
-- predecessor and the data of the new entry.

local target, mark, data, node, keep, log_seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

if redis.call('EXISTS', log) == 0 then return { '', 'missing', '', '' } end

local entry
if target ~= '*' then
  entry = entry_of(target)
  local kind = entry and field_of(entry, 'type')
  if not entry or kind == 'delete' or kind == 'edit' or kind and mark ~= '' then return { '', 'missing', '', '' } end
  if mark ~= '' and not own_message(entry, mark) then return { '', 'other', '', '' } end
end

-- The only commands before the first write that the user may lack.
local known = redis.pcall('ZRANGEBYSCORE', runs, '-inf', '-inf')
if is_error(known) then return failure(known) end
local edit = {}
if entry and redis.call('EXISTS', edits) == 1 then edit = redis.pcall('HMGET', edits, target) end
if is_error(edit) then return failure(edit) end

local failed
if entry then
  failed = remove_with_edit(entry, edit)
else
  failed = delete_all()
end
if failed then return failure(failed) end
forget_trimmed_runs()
local id, prev = append('delete', data, node, keep, log_seconds, '', state_of_log())
return { id, 'deleted', prev, data }
