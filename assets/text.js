/**
 * Text: what the stream's words mean to a person. Pure functions; no DOM, no network.
 */

const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#x27;': "'", '&#x2F;': '/' };

/** Undoes the server's escaping: exactly its six entities, in one pass, so `&amp;lt;` is the text `&lt;`. */
export function decode(escaped) {
  return escaped.replace(/&(?:amp|lt|gt|quot|#x27|#x2F);/g, (entity) => ENTITIES[entity]);
}

/** The JSON object in `data`; an empty one when it holds anything else. */
export function members(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
}

/** Who says what. A foreign publish may be any text: it is shown as it is, from nobody. */
export function spoken(data) {
  const { sender, message } = members(data);
  const isMessage = typeof sender === 'string' && typeof message === 'string';
  return isMessage ? { sender: decode(sender), text: lines(decode(message)) } : { sender: '—', text: data };
}

/** Line breaks as the HTML parser reads them, so that a message looks alike from the page and from the stream. */
function lines(text) {
  return text.replace(/\r\n?/g, '\n');
}

/** When the message with this id was taken; now, for one without an id (or with one beyond the calendar). */
export function takenAt(id) {
  const taken = new Date(parseInt(id, 10));
  return Number.isNaN(taken.getTime()) ? new Date() : taken;
}

const CLOCK = { hour: '2-digit', minute: '2-digit' };
const clock = new Intl.DateTimeFormat(undefined, CLOCK);
const dayAndClock = new Intl.DateTimeFormat(undefined, { ...CLOCK, day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** The reader's own time; the day is told unless it is today. */
export function shortTime(date, today = new Date()) {
  return (date.toDateString() === today.toDateString() ? clock : dayAndClock).format(date);
}

export function fullTime(date) {
  return full.format(date);
}

const FIVE_MINUTES = 5 * 60 * 1000;

/** Whether `next` goes on with what `previous` said: same sender, soon after. */
export function continues(previous, next) {
  return previous?.sender === next.sender && next.at - previous.at < FIVE_MINUTES;
}

const ROOM = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}\-_.~]{0,63}$/u;

export const ROOM_RULE = 'A room’s name is 1 to 64 letters, marks, digits, - _ . or ~, and starts with a letter or digit.';

/** The path of the room with this name, or null when the name breaks the rule. */
export function roomPath(typed) {
  const name = typed.trim().normalize('NFC');
  return ROOM.test(name) ? `/${encodeURIComponent(name)}` : null;
}
