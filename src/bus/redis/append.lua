-- Publishes a message with the log alone, in one atomic step: while a cluster moves the room's slot, what else a post needs
-- may be at another master. log.lua and entry_key.lua stand in front of it.
--
-- KEYS[1]  the room's log
-- ARGV     as for publish.lua up to the entry's key; then the idempotency key or '', the id after which find_key.lua has
--          not looked for it, most entries to look at
--
-- Returns {id, outcome}: outcome is 'stored', with the id of the predecessor, 'duplicate', 'reused' (the key was used for
-- another message), or 'unseen' (there are more entries to look at).

local data, node, keep, log_seconds, kind, entry_key = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key, after, most = ARGV[7], ARGV[8], tonumber(ARGV[9])

if key ~= '' then
  local entries = redis.call('XRANGE', log, '(' .. after, '+', 'COUNT', most)
  for _, entry in ipairs(entries) do
    if has_key(entry, key) then
      local is_same = (field_of(entry, 'type') or '') == kind and field_of(entry, 'data') == data
      return { entry[1], is_same and 'duplicate' or 'reused', '' }
    end
  end
  if #entries == most then return { '', 'unseen', '' } end
end
local id, prev = append(kind, data, node, keep, log_seconds, entry_key, state_of_log())
return { id, 'stored', prev }
