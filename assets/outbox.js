/**
 * The outbox: messages that are not in the log yet. They are kept in storage, and the leading tab sends them: for each room
 * one at a time, in order, each with an idempotency key, so that a message that is sent twice appears once.
 *
 * queued → sending → (answered: it has an id and waits for its echo on the stream) → confirmed. On the way a message can
 * be waiting (rate limited), failed (it will never be taken), or unsure (sent without an answer, and the log was lost
 * since).
 */

import { ownSecret } from './secret.js';
import { backoff } from './stream.js';
import { isAfter } from './wire.js';

/** @import { PageStorage } from './storage.js' */

const REQUEST_TIMEOUT_MS = 10_000; // a later response counts as none

/**
 * A message to send, as it is stored.
 * @typedef {object} OutboxItem
 * @property {string} key idempotency key
 * @property {string} room
 * @property {string} sender
 * @property {string} text
 * @property {number} at when it was written, Unix milliseconds; gives the order
 * @property {'queued' | 'sending' | 'waiting' | 'failed' | 'unsure'} state
 * @property {string} [id] its id in the log, once the server answered
 * @property {boolean} [tried] whether it was sent and may have been taken
 * @property {boolean} [gap] whether the log was lost since
 * @property {string} [reason] why it failed, or has to wait
 * @property {number} [until] when it is sent again, Unix milliseconds
 */

/**
 * @typedef {object} OutboxHooks
 * @property {(room: string) => boolean} canSend whether the room's messages may be sent now
 * @property {() => void} onOutbox the items have changed
 * @property {(room: string, id: string) => void} onStored the server answered with an id
 */

export class Outbox {
  /** @type {OutboxItem[]} */
  items = [];
  #world;
  #storage;
  #hooks;
  #notBefore = 0; // Unix milliseconds
  /** @type {number | undefined} */
  #timer;
  #attempt = 0;

  /**
   * @param {Pick<Window, 'fetch'>} world
   * @param {PageStorage} storage
   * @param {OutboxHooks} hooks
   */
  constructor(world, storage, hooks) {
    this.#world = world;
    this.#storage = storage;
    this.#hooks = hooks;
    this.items = storage.records('out:').map((item) => ({ ...item, state: stateAtRest(item) }));
    hooks.onOutbox();
  }

  /** Adds an item, unless it is there already. @param {OutboxItem} item */
  add(item) {
    if (!this.items.some(({ key }) => key === item.key)) {
      this.items.push(item);
      this.items.sort((one, other) => one.at - other.at);
      this.#save(item, {});
    }
    this.sendNext();
  }

  /** Queues a failed or unsure item again. @param {string} key */
  retry(key) {
    const item = this.items.find((each) => each.key === key);
    if (item?.state === 'failed' || item?.state === 'unsure') this.#save(item, { state: 'queued', reason: undefined });
    this.#notBefore = 0;
    this.sendNext();
  }

  /** @param {string} key */
  remove(key) {
    this.items = this.items.filter((item) => item.key !== key);
    this.#storage.remove(`out:${key}`);
    this.#hooks.onOutbox();
  }

  /**
   * Removes and returns the item that a message of the log confirms, by its key or by its id.
   * @param {string} room
   * @param {string} key
   * @param {string} id
   */
  confirm(room, key, id) {
    const item = this.items.find((each) => each.room === room && (each.key === key || each.id === id));
    if (item) this.remove(item.key);
    return item;
  }

  /**
   * Removes the answered items of a room up to `cursor`: the stream has passed them.
   * @param {string} room
   * @param {string} cursor
   */
  confirmUpTo(room, cursor) {
    for (const item of this.items) if (item.room === room && item.id && !isAfter(item.id, cursor)) this.remove(item.key);
  }

  /**
   * Marks unanswered items of a room whose log was lost: they may have been in it, so that only the user can decide whether
   * to send them again.
   * @param {string} room
   */
  markUnsure(room) {
    for (const item of this.items) {
      if (item.room !== room || !item.tried || item.id) continue;
      this.#save(item, item.state === 'sending' ? { gap: true } : { gap: true, state: 'unsure' });
    }
  }

  /** Sends the first item of each room that may be sent now. */
  sendNext() {
    clearTimeout(this.#timer);
    const wait = this.#notBefore - Date.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.sendNext(), wait);
      return;
    }
    const heads = new Map();
    for (const item of this.items) {
      if (!item.id && item.state !== 'failed' && item.state !== 'unsure' && !heads.has(item.room)) heads.set(item.room, item);
    }
    for (const item of heads.values()) if (item.state !== 'sending' && this.#hooks.canSend(item.room)) this.#send(item);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#notBefore = Infinity;
  }

  /** @param {OutboxItem} item */
  async #send(item) {
    this.#save(item, { state: 'sending', tried: true, reason: undefined, until: undefined });
    const { id, mark, wait, refused, unknown } = await publish(this.#world, item, ownSecret(this.#storage));
    if (mark) this.#storage.set('mark', mark);
    if (id) {
      this.#attempt = 0;
      if (this.items.includes(item)) this.#save(item, { id });
      this.#hooks.onStored(item.room, id);
    } else if (this.items.includes(item)) {
      if (refused) this.#save(item, { state: 'failed', reason: refused, tried: false });
      else if (wait) this.#sendLater(item, wait, { state: 'waiting', tried: false });
      else if (item.gap) this.#save(item, { state: 'unsure', reason: unknown });
      else this.#sendLater(item, backoff(this.#attempt++), { state: 'queued', reason: unknown });
    }
    this.sendNext();
  }

  /**
   * @param {OutboxItem} item
   * @param {number} seconds
   * @param {Partial<OutboxItem>} change
   */
  #sendLater(item, seconds, change) {
    // One time for all rooms: they share the limit and the outage.
    this.#notBefore = Math.max(this.#notBefore, Date.now() + seconds * 1000);
    this.#save(item, { ...change, until: this.#notBefore });
  }

  /** @param {OutboxItem} item @param {Partial<OutboxItem>} change */
  #save(item, change) {
    Object.assign(item, change);
    this.#storage.set(`out:${item.key}`, JSON.stringify(item));
    this.#hooks.onOutbox();
  }
}

/** Returns the state of a stored item, which no tab is sending any more. @param {OutboxItem} item */
const stateAtRest = ({ state }) => (state === 'sending' || state === 'waiting' ? 'queued' : state);

/**
 * What became of a publish: `id` if it is stored, with the `mark` that the server made of the secret; `wait` in seconds, `refused` for good, or `unknown`.
 * @typedef {{ id?: string, mark?: string, wait?: number, refused?: string, unknown?: string }} PublishResult
 */

/**
 * Posts a message.
 * @param {Pick<Window, 'fetch'>} world
 * @param {Pick<OutboxItem, 'room' | 'sender' | 'text' | 'key'>} item
 * @param {string} [secret] of this browser
 * @returns {Promise<PublishResult>}
 */
export async function publish(world, { room, sender, text, key }, secret) {
  const body = JSON.stringify({ sender, message: text, key, secret });
  try {
    const response = await world.fetch(`/${encodeURIComponent(room)}`, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
      body,
      keepalive: body.length < 20_000, // browsers refuse more than 64 KiB in all
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const { id, mark, detail, title } = Object(await response.json().catch(() => null));
    const { ok, status } = response;
    if (ok && id) return mark ? { id, mark } : { id };
    const reason = detail?.replace(/^\w+: /, '') || title || `The message was not accepted (${status}).`;
    if (status === 429) return { wait: Number(response.headers.get('Retry-After')) || 1 };
    return status >= 400 && status < 500 && status !== 408 ? { refused: reason } : { unknown: reason };
  } catch {
    return { unknown: 'The server did not answer.' };
  }
}
