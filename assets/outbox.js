/**
 * The outbox: what was typed and is not yet in the log. It is kept in this browser's memory, and the leading tab sends it:
 * for each room one message at a time, in order, each with a key, so that what is sent twice appears once.
 *
 * queued → sending → (answered: it has an id and waits for its echo) → settled. On the way a message can be waiting (too
 * fast), failed (it will never be taken), or unsure (sent without an answer, and the log was lost since).
 */

import { backOff } from './stream.js';
import { newer } from './text.js';

const PATIENCE = 10_000; // milliseconds; an answer later than that counts as none

export class Outbox {
  items = [];
  #world;
  #memory;
  #desk;
  #wake = 0;
  #timer;
  #attempt = 0;

  /** `desk` says by `clear(room)` whether messages may go out, and is told of `changed()` and of `stored(room, id)`. */
  constructor(world, memory, desk) {
    this.#world = world;
    this.#memory = memory;
    this.#desk = desk;
    this.items = memory.all('out:').map((item) => ({ ...item, state: resting(item) }));
    desk.changed();
  }

  add(item) {
    if (!this.items.some(({ key }) => key === item.key)) {
      this.items.push(item);
      this.items.sort((one, other) => one.at - other.at);
      this.#save(item, {});
    }
    this.pump();
  }

  retry(key) {
    const item = this.items.find((each) => each.key === key);
    if (item?.state === 'failed' || item?.state === 'unsure') this.#save(item, { state: 'queued', reason: undefined });
    this.#wake = 0;
    this.pump();
  }

  remove(key) {
    this.items = this.items.filter((item) => item.key !== key);
    this.#memory.forget(`out:${key}`);
    this.#desk.changed();
  }

  /** A message came in: the pending one that it is, or undefined. It settles that one, and no other ever after. */
  settle(room, key, id) {
    const item = this.items.find((each) => each.room === room && (each.key === key || each.id === id));
    if (item) this.remove(item.key);
    return item;
  }

  /** Everything up to `place` was read: what has an id up to there is settled, wherever that was. */
  passed(room, place) {
    for (const item of this.items) if (item.room === room && item.id && !newer(item.id, place)) this.remove(item.key);
  }

  /** The log of `room` was lost: whether unanswered messages were in it is not to be known. */
  gap(room) {
    for (const item of this.items) {
      if (item.room === room && item.tried && !item.id) this.#save(item, { gap: true, ...(item.state === 'sending' ? {} : { state: 'unsure' }) });
    }
  }

  /** Sends what may be sent now. */
  pump() {
    clearTimeout(this.#timer);
    const wait = this.#wake - Date.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.pump(), wait);
      return;
    }
    const heads = new Map();
    for (const item of this.items) {
      if (!item.id && item.state !== 'failed' && item.state !== 'unsure' && !heads.has(item.room)) heads.set(item.room, item);
    }
    for (const item of heads.values()) if (item.state !== 'sending' && this.#desk.clear(item.room)) this.#send(item);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#wake = Infinity;
  }

  async #send(item) {
    this.#save(item, { state: 'sending', tried: true, reason: undefined, until: undefined });
    const { id, wait, refused, unknown } = await publish(this.#world, item);
    if (id) {
      this.#attempt = 0;
      if (this.items.includes(item)) this.#save(item, { id });
      this.#desk.stored(item.room, id);
    } else if (this.items.includes(item)) {
      if (refused) this.#save(item, { state: 'failed', reason: refused, tried: false });
      else if (wait) this.#later(item, wait, { state: 'waiting', tried: false });
      else if (item.gap) this.#save(item, { state: 'unsure', reason: unknown });
      else this.#later(item, backOff(this.#attempt++), { state: 'queued', reason: unknown });
    }
    this.pump();
  }

  #later(item, seconds, change) {
    this.#wake = Math.max(this.#wake, Date.now() + seconds * 1000);
    this.#save(item, { ...change, until: this.#wake });
  }

  #save(item, change) {
    Object.assign(item, change);
    this.#memory.remember(`out:${item.key}`, JSON.stringify(item));
    this.#desk.changed();
  }
}

/** The state of an item that nobody is sending. */
const resting = ({ state }) => (state === 'sending' || state === 'waiting' ? 'queued' : state);

/** `{ id }` once it is stored, `{ wait }` seconds, `{ refused }` for good, or `{ unknown }`: nobody can say. */
export async function publish(world, { room, sender, text, key }) {
  const body = JSON.stringify({ sender, message: text, key });
  try {
    const response = await world.fetch(`/${encodeURIComponent(room)}`, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
      body,
      keepalive: body.length < 20_000,
      signal: AbortSignal.timeout(PATIENCE),
    });
    const { id, detail, title } = Object(await response.json().catch(() => null));
    const { ok, status } = response;
    if (ok && id) return { id };
    const reason = detail?.replace(/^\w+: /, '') || title || `The message was not taken (${status}).`;
    if (status === 429) return { wait: Number(response.headers.get('Retry-After')) || 1 };
    return status >= 400 && status < 500 && status !== 408 ? { refused: reason } : { unknown: reason };
  } catch {
    return { unknown: 'The server did not answer.' };
  }
}
