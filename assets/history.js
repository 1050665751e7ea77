/**
 * A room's history, as the server keeps it.
 */

import { spoken } from './text.js';

/** `{ messages: [{ id, sender, text }], last }`; nothing where the server cannot say. */
export async function history(world, room, query) {
  try {
    const response = await world.fetch(`/history/${encodeURIComponent(room)}?${new URLSearchParams(query)}`);
    if (!response.ok) return {};
    const { messages, last } = await response.json();
    return { messages: messages.map(({ id, ...said }) => ({ id, ...spoken(JSON.stringify(said)) })), last };
  } catch {
    return {};
  }
}
