/**
 * The frames of a room as they are sent, the newest first, each with a button that deletes its entry. They are shown as
 * text and nothing else.
 */

import { element, find } from '../dom.js';
import { deletion, frameReader, isEntry } from './frames.js';

/** @typedef {import('./frames.js').Frame} Frame */

const MAX_FRAMES = 200;

/** How many messages are there at first. */
const HISTORY = 10;

/** The pause before the stream is opened again, unless the server says another, in milliseconds. */
const RETRY = 2000;

/** How long a second press counts, in milliseconds. */
const SURE = 4000;

/** Enables the wire view. @param {HTMLElement} root */
export function enableWireView(root) {
  const form = /** @type {HTMLFormElement} */ (find('.watch', root));
  const input = /** @type {HTMLInputElement} */ (find('input', form));
  const [stop, state, list] = [find('.stop', root), find('.wire-state', root), find('.frames', root)];
  /** @type {AbortController | null} */
  let watching = null;

  form.onsubmit = (event) => {
    event.preventDefault();
    watch(input.value.trim());
  };
  stop.onclick = () => end('Stopped.');

  /** @param {string} why */
  function end(why) {
    watching?.abort();
    watching = null;
    stop.hidden = true;
    state.textContent = why;
  }

  /** Watches a room. @param {string} room */
  async function watch(room) {
    end('');
    if (!room) return;
    input.value = room;
    list.replaceChildren();
    list.hidden = stop.hidden = false;
    const { signal } = (watching = new AbortController());
    let [cursor, retry] = ['', RETRY];
    while (!signal.aborted) {
      state.textContent = 'Connecting…';
      try {
        const address = new URL(`/dashboard/wire/${encodeURIComponent(room)}${cursor ? '' : `?history=${HISTORY}`}`, location.origin);
        const response = await fetch(address, { signal, headers: cursor ? { 'Last-Event-ID': cursor } : {} });
        if (!response.ok || !response.body) {
          end((await problem(response)) || `Not there: ${response.status}`);
          list.hidden = true;
          return;
        }
        state.textContent = `Watching ${room}. What is sent is shown as it is, the newest first.`;
        const read = frameReader();
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          for (const frame of read(value)) {
            add(room, frame);
            cursor = frame.id || cursor;
            retry = frame.retry ?? retry;
          }
        }
      } catch {} // the connection was lost, or the view ended
      if (signal.aborted) return;
      state.textContent = 'Connection lost. Trying again…';
      await new Promise((resolve) => setTimeout(resolve, retry));
    }
  }

  /** Shows a frame. @param {string} room @param {Frame} frame */
  function add(room, frame) {
    const deleted = deletion(frame);
    for (const item of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('li[data-id]'))) {
      if (deleted.all || (deleted.id && item.dataset.id === deleted.id)) forget(item);
    }
    const item = element('li');
    const raw = element('pre', '', frame.text);
    raw.dir = 'auto';
    item.append(raw);
    if (isEntry(frame)) {
      item.dataset.id = frame.id;
      item.append(deleteButton(room, frame.id, item));
    }
    list.prepend(item);
    while (list.childElementCount > MAX_FRAMES) list.lastElementChild?.remove();
  }

  /** @param {string} room @param {string} id @param {HTMLElement} item */
  function deleteButton(room, id, item) {
    const button = element('button', 'delete', 'Delete');
    button.type = 'button';
    button.ariaLabel = `Delete ${id}`;
    const reset = () => {
      button.textContent = 'Delete';
      button.classList.remove('sure');
    };
    button.onclick = async () => {
      if (!button.classList.contains('sure')) {
        button.classList.add('sure');
        button.textContent = 'Really delete';
        setTimeout(reset, SURE);
        return;
      }
      button.disabled = true;
      try {
        const address = new URL(`/history/${encodeURIComponent(room)}/${encodeURIComponent(id)}`, location.origin);
        const response = await fetch(address, { method: 'DELETE' });
        if (response.ok || response.status === 404) forget(item);
        else state.textContent = `Not deleted: ${(await problem(response)) || response.status}`;
      } catch {
        state.textContent = 'Not deleted: the connection was lost.';
      }
      button.disabled = false;
    };
    return button;
  }

  return { watch };
}

/** Removes the text of an entry that was deleted. @param {HTMLElement} item */
function forget(item) {
  find('pre', item).textContent = `id: ${item.dataset.id}\n(deleted)`;
  item.querySelector('button')?.remove();
  item.classList.add('deleted');
  delete item.dataset.id;
}

/** Returns what the server says about a failure. @param {Response} response */
async function problem(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return '';
  }
}
