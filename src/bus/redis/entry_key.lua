-- Returns true if an entry was published under an idempotency key. A message says so in its data: in its sender and its
-- text each quotation mark is escaped, so that nothing else has this form. An app's event has a field for it.
local function has_key(entry, key)
  if field_of(entry, 'type') then return field_of(entry, 'key') == key end
  return string.find(field_of(entry, 'data') or '', '"key":"' .. key .. '"', 1, true) ~= nil
end
