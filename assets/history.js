/**
 * Requests for a room's history.
 */

import { parseMessage } from './wire.js';

/** @typedef {{ id: string, sender: string, text: string, mark?: string, key?: string, edited?: boolean }} HistoryMessage */

export const REQUEST_TIMEOUT_MS = 10_000; // a later response counts as none
export const MAX_PAGE_SIZE = 200; // of the server

/**
 * @typedef {object} HistoryPage
 * @property {HistoryMessage[]} [messages]
 * @property {string} [first] the first id that the server looked at
 * @property {string} [last] the cursor after what it looked at
 */

/**
 * Fetches messages of a room. The page is empty if the server cannot say.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {{ before?: string, after?: string, limit: number, all?: 1 }} query with `all`, events are listed as well
 * @returns {Promise<HistoryPage>}
 */
export async function fetchHistory(world, room, query) {
  const parameters = new URLSearchParams(/** @type {{}} */ (query));
  try {
    const response = await world.fetch(`/history/${encodeURIComponent(room)}?${parameters}`, {
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (!response.ok) return {};
    const { messages, first, last } = await response.json();
    const parse = (/** @type {any} */ { id, key, ...data }) => ({ id, key, ...parseMessage(JSON.stringify(data)) });
    return { messages: messages.map(parse), first, last };
  } catch {
    return {};
  }
}
