-- Reads part of a log, and what the gap rule needs, in one atomic step.
--
-- KEYS[1]  the room's log
-- ARGV     span (newest, before, after, from), id, limit
--
-- Returns {first retained id or '', last generated id, entries oldest first}. One entry more than the
-- limit is read, so that the caller sees whether there are more; 'from' puts the anchor in front: the
-- entry with the id, or else the last one before it.

local log, span, id, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]) + 1

if redis.call('EXISTS', log) == 0 then return { '', '0-0', {} } end

local last = '0-0'
local info = redis.call('XINFO', 'STREAM', log)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)

local function newest_up_to(max_id)
  local newest_first = redis.call('XREVRANGE', log, max_id, '-', 'COUNT', count)
  local oldest_first = {}
  for i = #newest_first, 1, -1 do oldest_first[#oldest_first + 1] = newest_first[i] end
  return oldest_first
end

local entries
if span == 'newest' then
  entries = newest_up_to('+')
elseif span == 'before' then
  -- Redis refuses a range that ends before 0-0. No entry can be there.
  entries = id == '0-0' and {} or newest_up_to('(' .. id)
else
  entries = redis.call('XRANGE', log, '(' .. id, '+', 'COUNT', count)
  if span == 'from' then
    local anchor = redis.call('XREVRANGE', log, id, '-', 'COUNT', 1)
    if anchor[1] then table.insert(entries, 1, anchor[1]) end
  end
end
return { first[1] and first[1][1] or '', last, entries }
