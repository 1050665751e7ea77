/** A room as a React hook. */

import { useCallback, useEffect, useReducer } from 'react';

const EMPTY = { messages: [], live: false, isIncomplete: false };

/** Returns the state after an event of the stream. */
function after(state, { type, id, data }) {
  const { messages } = state;
  switch (type) {
    case 'open':
      return EMPTY;
    case 'message':
      return { ...state, messages: [...messages, { id, ...data }] };
    case 'edit':
      return { ...state, messages: messages.map((each) => (each.id === data.id ? { ...each, ...data } : each)) };
    case 'delete':
      return { ...state, messages: data.all ? [] : messages.filter((each) => each.id !== data.id) };
    case 'status':
      return { ...state, live: data.live };
    case 'gap':
      return { ...state, isIncomplete: true };
    default:
      return { ...state, live: false }; // error: the browser reconnects
  }
}

/**
 * Reads a room for as long as the component lives: `{ messages, live, isIncomplete, send }`. Texts are as they were typed,
 * which is what React expects.
 */
export function useRoom(room, history = 50) {
  const [state, dispatch] = useReducer(after, EMPTY);
  const address = encodeURIComponent(room);

  useEffect(() => {
    dispatch({ type: 'open' });
    const source = new EventSource(`/subscribe/${address}?history=${history}&text=plain`);
    for (const type of ['message', 'edit', 'delete', 'status', 'gap']) {
      source.addEventListener(type, ({ lastEventId: id, data }) => dispatch({ type, id, data: JSON.parse(data) }));
    }
    source.onerror = () => dispatch({ type: 'error' });
    return () => source.close();
  }, [address, history]);

  /** Posts until the chat has answered. With its key a message that is posted twice is stored once. */
  const send = useCallback(
    async (fields) => {
      const body = JSON.stringify({ ...fields, key: crypto.randomUUID() });
      for (;;) {
        const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body };
        const answer = await fetch(`/${address}`, request).catch(() => null);
        if (answer?.ok) return;
        if (answer && answer.status < 500 && answer.status !== 429) throw new Error((await answer.json()).detail);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    },
    [address],
  );

  return { ...state, send };
}
