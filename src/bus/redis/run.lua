-- Returns whether everything after an id and up to another one was deleted. A user without the right to see
-- that gets a gap.
local function is_deleted(runs, id, last_id)
  local number = string.match(last_id, '%d+$')
  local candidates = redis.pcall('ZRANGEBYSCORE', runs, number, number)
  for _, run in ipairs(candidates.err and {} or candidates) do
    local ends_there = string.sub(run, -#last_id - 1) == ' ' .. last_id
    if ends_there and string.find(' ' .. run, ' ' .. id .. ' ', 1, true) then return true end
  end
  return false
end
