/**
 * Requests for a room's history.
 */

import { parseMessage } from './wire.js';

/** @typedef {{ id: string, sender: string, text: string }} HistoryMessage */

/** @typedef {{ messages?: HistoryMessage[], last?: string }} HistoryPage `last` is the id of the room's last message */

/**
 * Fetches messages of a room. The page is empty if the server cannot say.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {{ before?: string, after?: string, limit: number }} query
 * @returns {Promise<HistoryPage>}
 */
export async function fetchHistory(world, room, query) {
  const parameters = new URLSearchParams(/** @type {{}} */ (query));
  try {
    const response = await world.fetch(`/history/${encodeURIComponent(room)}?${parameters}`);
    if (!response.ok) return {};
    const { messages, last } = await response.json();
    const parse = (/** @type {any} */ { id, ...data }) => ({ id, ...parseMessage(JSON.stringify(data)) });
    return { messages: messages.map(parse), last };
  } catch {
    return {};
  }
}
