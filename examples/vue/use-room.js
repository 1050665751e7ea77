/** A room as a Vue composable. */

import { onScopeDispose, ref } from 'vue';

/** Reads a room until the component is gone: `{ messages, live, isIncomplete, send }`. */
export function useRoom(room, history = 50) {
  const [messages, live, isIncomplete] = [ref([]), ref(false), ref(false)];
  const address = encodeURIComponent(room);
  const source = new EventSource(`/subscribe/${address}?history=${history}&text=plain`);
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data), event.lastEventId));

  on('message', (message, id) => messages.value.push({ id, ...message }));
  on('edit', (edit) => Object.assign(messages.value.find(({ id }) => id === edit.id) ?? {}, edit));
  on('delete', (deletion) => {
    messages.value = deletion.all ? [] : messages.value.filter(({ id }) => id !== deletion.id);
  });
  on('status', (status) => (live.value = status.live));
  on('gap', () => (isIncomplete.value = true));
  source.onerror = () => (live.value = false); // the browser reconnects
  onScopeDispose(() => source.close());

  /** Posts until the chat has answered. With its key a message that is posted twice is stored once. */
  async function send(fields) {
    const body = JSON.stringify({ ...fields, key: crypto.randomUUID() });
    for (;;) {
      const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body };
      const answer = await fetch(`/${address}`, request).catch(() => null);
      if (answer?.ok) return;
      if (answer && answer.status < 500 && answer.status !== 429) throw new Error((await answer.json()).detail);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  return { messages, live, isIncomplete, send };
}
