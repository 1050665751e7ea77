/**
 * The wire format of messages: how ids are ordered, and what the data of an event says. Pure: no DOM, no network.
 */

/**
 * A message as the page shows it.
 * @typedef {object} Message
 * @property {string | null} [id] `<ms>-<n>`; null if it was published past the log, absent while it is pending
 * @property {string} sender
 * @property {string} text
 * @property {boolean} mine whether it was sent from this browser
 * @property {Date} at when the server took it
 * @property {string} [mark] what the server made of its sender's secret: 32 hexadecimal digits
 * @property {boolean} [edited] whether its sender has changed it
 */

/**
 * Why messages are missing after a reconnect, as the server says it.
 * @typedef {object} Gap
 * @property {string | null} asked the cursor from which the log was to be read
 * @property {string} reason `trimmed`, `reset` or `invalid`
 */

/**
 * What is deleted: a message, or all up to an id.
 * @typedef {{ id?: string, upTo?: string }} Deletion
 */

/**
 * What a message says after its sender changed it.
 * @typedef {{ id: string, sender: string, text: string }} Edit
 */

/** The cursor before the first message of a room. */
export const START = '0-0';

/**
 * Returns true if `id` comes after `cursor`. Every id comes after an unknown cursor.
 * @param {string} id
 * @param {string | null} [cursor]
 */
export function isAfter(id, cursor) {
  if (!cursor) return true;
  const [ms, n] = id.split('-');
  const [cursorMs, cursorN] = cursor.split('-');
  return +ms > +cursorMs || (ms === cursorMs && +n > +cursorN);
}

/** Returns the number of a message in its room. @param {string} id */
export const numberOf = (id) => Number(id.split('-')[1]);

/** Returns true if a deletion concerns the message with this id. @param {Deletion} deletion @param {string} id */
export const isDeleted = ({ id: deleted, upTo }, id) => id === deleted || (!!upTo && !isAfter(id, upTo));

/**
 * Returns a text with each half character (a lone surrogate, from a cut paste) replaced: the server refuses it as no JSON.
 * @param {string} text
 */
export const wellFormed = (text) => text.replace(/\p{Surrogate}/gu, '\ufffd');

/** @type {Record<string, string>} */
const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#x27;': "'", '&#x2F;': '/' };

/**
 * Undoes the server's escaping: exactly its six entities, in one pass, so that `&amp;lt;` becomes the text `&lt;`.
 * @param {string} escaped
 */
export function decode(escaped) {
  return escaped.replace(/&(?:amp|lt|gt|quot|#x27|#x2F);/g, (entity) => ENTITIES[entity]);
}

/**
 * Returns the JSON object in `data`, or an empty one if `data` is anything else.
 * @param {string} data
 */
export function parseObject(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
}

/**
 * Returns the sender and the text of a message. A foreign publish may be any text: it is shown as it is, without a sender.
 * @param {string} data
 * @returns {{ sender: string, text: string, mark?: string, edited?: boolean }}
 */
export function parseMessage(data) {
  const { sender, message, mark, edited } = parseObject(data);
  if (typeof sender !== 'string' || typeof message !== 'string') return { sender: '—', text: data };
  return { ...decodeMessage(sender, message), ...(/^[\da-f]{32}$/.test(mark) && { mark }), ...(edited === true && { edited }) };
}

/**
 * Decodes a sender and a text, with line breaks as the HTML parser normalises them: so a message looks the same from the
 * page and from the stream.
 * @param {string} sender
 * @param {string} message
 */
export function decodeMessage(sender, message) {
  return { sender: decode(sender), text: decode(message).replace(/\r\n?/g, '\n') };
}

/**
 * Returns when the message with this id was taken; now, if it has no id or one beyond the calendar.
 * @param {string | null} id
 */
export function timeOf(id) {
  const time = new Date(parseInt(/** @type {string} */ (id), 10));
  return Number.isNaN(+time) ? new Date() : time;
}

/**
 * Returns what a problem of the server says, without the name of the field with which that may begin.
 * @param {{ detail?: string, title?: string }} problem
 */
export const reasonOf = ({ detail, title }) => detail?.replace(/^\w+: /, '') || title;
