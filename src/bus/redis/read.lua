-- Reads part of a log, and what is needed to judge it, in one atomic step.
--
-- KEYS[1]  the room's log
-- ARGV     span (newest, before, after, from), id, limit
--
-- Answers {first retained id or '', last generated id, entries oldest first}. One entry more than
-- the limit is read, so that the caller sees whether there are more; 'from' puts the entry at the
-- id, or else the last one before it, in front.

local log, span, id, limit = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]) + 1

if redis.call('EXISTS', log) == 0 then return { '', '0-0', {} } end

local last = '0-0'
local info = redis.call('XINFO', 'STREAM', log)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)

local function newest_first(from)
  local entries = redis.call('XREVRANGE', log, from, '-', 'COUNT', limit)
  local turned = {}
  for i = #entries, 1, -1 do turned[#turned + 1] = entries[i] end
  return turned
end

local entries
if span == 'newest' then
  entries = newest_first('+')
elseif span == 'before' then
  -- Redis has no range that ends before 0-0, where nothing stands.
  entries = id == '0-0' and {} or newest_first('(' .. id)
else
  entries = redis.call('XRANGE', log, '(' .. id, '+', 'COUNT', limit)
  if span == 'from' then
    local anchor = redis.call('XREVRANGE', log, id, '-', 'COUNT', 1)
    if anchor[1] then table.insert(entries, 1, anchor[1]) end
  end
end
return { first[1] and first[1][1] or '', last, entries }
