/**
 * The text of an event stream, cut into its frames. Nothing of a frame is changed, since it is shown as it was sent.
 */

/** What is the server's own, and cannot be deleted. */
const OWN = ['status', 'gap', 'backoff', 'heartbeat', 'presence', 'userJoined', 'userLeft', 'ping', 'delete'];

/** @typedef {{ text: string, id: string, event: string, data: string, retry: number | null }} Frame */

/** Returns a function that takes pieces of a stream and returns the frames that are whole. */
export function frameReader() {
  let rest = '';
  return (/** @type {string} */ piece) => {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    return blocks.filter(Boolean).map(parseFrame);
  };
}

/** Reads the fields of a frame. @param {string} text @returns {Frame} */
export function parseFrame(text) {
  /** @type {Record<string, string[]>} */
  const fields = { id: [], event: [], data: [], retry: [] };
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1);
    if (colon > 0) fields[line.slice(0, colon)]?.push(value.startsWith(' ') ? value.slice(1) : value);
  }
  const last = (/** @type {string} */ name) => fields[name].at(-1) ?? '';
  const retry = last('retry');
  return { text, id: last('id'), event: last('event'), data: fields.data.join('\n'), retry: retry ? Number(retry) : null };
}

/** Returns whether a frame is an entry of the log, which can be deleted. @param {Frame} frame */
export const isEntry = (frame) => frame.id !== '' && !OWN.includes(frame.event);

/**
 * Returns what a frame says was deleted: the id of an entry, all entries, or nothing.
 * @param {Frame} frame
 * @returns {{ id?: string, all?: boolean }}
 */
export function deletion(frame) {
  if (frame.event !== 'delete') return {};
  try {
    const { id, all } = JSON.parse(frame.data);
    return { id, all };
  } catch {
    return {};
  }
}
