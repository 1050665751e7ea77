-- Answers what read.lua leaves open if it reads a log alone. run.lua stands in front of it.
--
-- KEYS[1]  the deleted ids
-- ARGV     an id, and the one up to which all after it have to be deleted
--
-- Returns 1 if they are.

return is_deleted(KEYS[1], ARGV[1], ARGV[2]) and 1 or 0
