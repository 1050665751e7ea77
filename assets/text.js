/**
 * Text: what the stream's words and ids mean. Pure functions; no DOM, no network.
 */

/** The place before the first message of a room. */
export const START = '0-0';

/** Whether `id` comes after `place`. An id is `<ms>-<n>`; where no place is known, every id comes after it. */
export function newer(id, place) {
  const [ms, n] = id.split('-');
  const [placeMs, placeN] = (place || '-1-0').split(/(?!^)-/);
  return ms - placeMs > 0 || (ms === placeMs && n - placeN > 0);
}

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
