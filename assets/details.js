/**
 * Details of a message: which node took it and, if it was sent from this page, how long it took until it was shown.
 */

import { REQUEST_TIMEOUT_MS } from './history.js';

/**
 * Returns a function that resolves to the sentence about a message's node. Each message is looked up once; again if the
 * lookup failed.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 */
export function nodeLookup(world, room) {
  /** @type {Map<string, Promise<string>>} */
  const sentences = new Map();
  const lookUp = async (/** @type {string} */ id) => {
    const { sentence, failed } = await fetchNode(world, room, id);
    if (failed) sentences.delete(id);
    return sentence;
  };
  return (/** @type {string} */ id) => {
    const sentence = sentences.get(id) ?? lookUp(id);
    sentences.set(id, sentence);
    return sentence;
  };
}

/**
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {string} id
 */
async function fetchNode(world, room, id) {
  const path = `/history/${encodeURIComponent(room)}/${id}?all=1`;
  try {
    const response = await world.fetch(path, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (response.status === 404) return { sentence: 'No longer kept, nor which node took it.' };
    if (!response.ok) return { sentence: 'The server cannot say now which node took it.', failed: true };
    const { node } = await response.json();
    return { sentence: node ? `Taken by ${node}` : 'Taken by a node without a name' };
  } catch {
    return { sentence: 'Offline: the node that took it cannot be looked up.', failed: true };
  }
}

/**
 * Returns the sentence about a delay, from Send to the frame that showed the message. All waiting is included.
 * @param {number} ms
 */
export const delaySentence = (ms) => `${duration(ms)} from Send to screen`;

/** @param {number} ms */
function duration(ms) {
  const whole = Math.max(1, Math.round(ms));
  if (whole < 1000) return `${whole} ms`;
  const tenths = Math.round(ms / 100);
  return tenths < 600 ? `${tenths / 10} s` : `${Math.round(ms / 60_000)} min`;
}
