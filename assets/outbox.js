/**
 * The outbox: messages that are not in the log yet. They are kept in storage, and the leading tab sends them: for each room
 * one at a time, in order, each with an idempotency key, so that a message that is sent twice appears once.
 *
 * queued → sending → (answered: it has an id and waits for its echo on the stream) → confirmed. On the way a message can
 * be waiting (rate limited), failed (it will never be taken), or unsure (only the user can decide what becomes of it).
 *
 * The server forgets keys after ten minutes. So a message that was sent without an answer, in an earlier visit or before the
 * connection was lost, is in doubt: before it is sent again, the log is read from where it ended at the first attempt.
 */

import { REQUEST_TIMEOUT_MS } from './history.js';
import { load } from './load.js';
import { ownSecret } from './secret.js';
import { backoff } from './stream.js';
import { isAfter, isDeleted, reasonOf } from './wire.js';

/** @import { HistoryMessage } from './history.js' */
/** @import { PageStorage } from './storage.js' */
/** @import { Deletion } from './wire.js' */

const ECHO_TIMEOUT_MS = 5000; // then the server is asked for an answered message
const MAX_LOOKS = 3; // into the log, for one message, before the user is asked
const MAX_WAIT_S = 600; // whatever the server says

/**
 * A message to send, as it is stored.
 * @typedef {object} OutboxItem
 * @property {string} key identifies it in this browser
 * @property {string} room
 * @property {string} sender
 * @property {string} text
 * @property {number} at when it was written, Unix milliseconds; gives the order
 * @property {'queued' | 'sending' | 'waiting' | 'failed' | 'unsure'} state
 * @property {string} [id] its id in the log, once the server answered
 * @property {boolean} [stored] whether the log was seen to have that id
 * @property {boolean} [tried] whether it was sent and may have been taken
 * @property {string} [since] the end of the log at the first attempt
 * @property {string} [secret] with which it was sent
 * @property {number} [round] how often the user sent it again after the server had lost it
 * @property {boolean} [gap] whether the log was lost since
 * @property {string} [reason] why it failed, is unsure, or has to wait
 * @property {number} [wait] milliseconds until it is sent again; not stored, since clocks jump
 * @property {number} [until] the same as a time on the clock of `performance` in one tab
 */

/**
 * @typedef {object} OutboxHooks
 * @property {(room: string) => boolean} canSend whether the room's messages may be sent now
 * @property {(room: string) => string} cursor returns the end of the room's log, as far as it was read
 * @property {() => void} onOutbox the items have changed
 * @property {(room: string, id: string) => void} onStored the server answered with an id
 */

/** Returns the idempotency key of an item. @param {OutboxItem} item */
const idempotencyKey = ({ key, round }) => (round ? `${key}.${round}` : key);

/** Returns true if a message of the log is an item. @param {OutboxItem} item @param {Partial<HistoryMessage>} message */
function isItem(item, { key, sender, text, edited }) {
  if (key !== idempotencyKey(item) || sender !== (item.sender.trim() ? item.sender : 'Anonymous')) return false;
  return edited || text === item.text.replace(/\r\n?/g, '\n');
}

export class Outbox {
  /** @type {OutboxItem[]} */
  items = [];
  #world;
  #storage;
  #hooks;
  #notBefore = 0; // on the clock of `performance`, which does not jump
  /** @type {number | undefined} */
  #timer;
  #attempt = 0;
  /** @type {Map<string, number>} */
  #doubts = new Map(); // by key of items in doubt, how often the log was read in vain
  #insisted = new Set(); // keys of items that the user sends again, whatever the log says
  #awaited = new Set(); // keys of answered items, whose echo is waited for
  #lookedUp = new Set(); // ids that the server is being asked for
  #stopped = false;

  /**
   * @param {Pick<Window & typeof globalThis, 'fetch' | 'performance'>} world
   * @param {PageStorage} storage
   * @param {OutboxHooks} hooks
   */
  constructor(world, storage, hooks) {
    this.#world = world;
    this.#storage = storage;
    this.#hooks = hooks;
    this.items = storage.records('out:').map((item) => ({ ...item, state: stateAtRest(item), until: undefined }));
    this.#doubt();
    hooks.onOutbox();
  }

  /** The items as other tabs can show them. @returns {OutboxItem[]} */
  get shown() {
    const now = this.#world.performance.now();
    return this.items.map(({ until, ...item }) => (until ? { ...item, wait: Math.max(0, until - now) } : item));
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

  /**
   * Queues a failed or unsure item again: with the name as it is now, unless it may have been taken with another.
   * @param {string} key
   * @param {string} sender
   */
  retry(key, sender) {
    const item = this.items.find((each) => each.key === key);
    if (item?.state !== 'failed' && item?.state !== 'unsure') return;
    if (item.tried) this.#insisted.add(key);
    this.#save(item, { state: 'queued', reason: undefined, ...(!item.tried && { sender, secret: undefined }) });
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
   * Removes and returns the item that a message of the log confirms.
   * @param {string} room
   * @param {Partial<HistoryMessage>} message
   */
  confirm(room, message) {
    const item = this.items.find((each) => each.room === room && (each.id === message.id || isItem(each, message)));
    if (item) this.remove(item.key);
    return item;
  }

  /**
   * Removes the answered items of a room up to `cursor` that the log has: the stream has passed them. Asks for the others.
   * @param {string} room
   * @param {string} cursor
   */
  confirmUpTo(room, cursor) {
    for (const item of this.items) {
      if (item.room !== room || !item.id || isAfter(item.id, cursor)) continue;
      if (item.stored) this.remove(item.key);
      else this.#lookUp(item);
    }
  }

  /** Removes the answered items of a room that are deleted. @param {string} room @param {Deletion} deletion */
  forget(room, deletion) {
    for (const { key, room: of, id } of this.items) if (of === room && id && isDeleted(deletion, id)) this.remove(key);
  }

  /** Goes on after the connection was lost. */
  onConnected() {
    this.#doubt();
    for (const item of this.items) if (item.id) this.#lookUp(item);
    this.sendNext();
  }

  /** Doubts what was sent without an answer: the connection was lost, or this tab has not sent it. */
  #doubt() {
    for (const { key, tried, id } of this.items) if (tried && !id) this.#doubts.set(key, 0);
  }

  /** Doubts all items of a room whose log was lost: they may have been in it. @param {string} room */
  onGap(room) {
    for (const item of this.items) {
      if (item.room !== room || (!item.tried && !item.id)) continue;
      this.#save(item, { gap: true, stored: false });
      if (item.id) this.#lookUp(item);
      else this.#doubts.set(item.key, 0);
    }
  }

  /** Sends the first item of each room that may be sent now. */
  sendNext() {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const wait = this.#notBefore - this.#world.performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.sendNext(), wait);
      return;
    }
    const heads = new Map();
    for (const item of this.items) {
      if (item.id) this.#awaitEcho(item);
      else if (item.state !== 'failed' && item.state !== 'unsure' && !heads.has(item.room)) heads.set(item.room, item);
    }
    for (const item of heads.values()) if (item.state !== 'sending' && this.#hooks.canSend(item.room)) this.#send(item);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#stopped = true;
  }

  /** @param {OutboxItem} item */
  async #send(item) {
    this.#save(item, { state: 'sending', reason: undefined, until: undefined });
    if (!this.#doubts.has(item.key) || (await this.#settle(item))) await this.#post(item);
    this.sendNext();
  }

  /** @param {OutboxItem} item */
  async #post(item) {
    const { tried = false } = item; // it may have been taken then, whatever the answer is now
    const since = (tried && item.since) || this.#hooks.cursor(item.room);
    this.#save(item, { tried: true, since, secret: item.secret ?? ownSecret(this.#storage) });
    const { id, mark, wait, refused, unknown } = await publish(this.#world, { ...item, key: idempotencyKey(item) });
    if (mark && item.secret === this.#storage.get('secret')) this.#storage.set('mark', mark); // the user may have changed it meanwhile
    if (id) this.#onAnswer(item, { id });
    else if (this.items.includes(item)) {
      if (refused) this.#save(item, { state: 'failed', reason: refused, tried });
      else if (wait) this.#sendLater(item, wait, { state: 'waiting', tried });
      else this.#sendLater(item, backoff(this.#attempt++), { state: 'queued', reason: unknown });
    }
  }

  /** Looks into the log for an item in doubt, and returns true if it is to be sent. @param {OutboxItem} item */
  async #settle(item) {
    const { key, room, since } = item;
    const { findMessage } = await load('lookups');
    const { id, absent, away } = await findMessage(this.#world, room, since, (message) => isItem(item, message));
    if (!this.items.includes(item) || this.#stopped) return false;
    if (id) this.#onAnswer(item, { id, stored: true });
    else if ((absent && !item.gap) || this.#insisted.delete(key)) {
      this.#doubts.delete(key);
      this.#save(item, { gap: false });
      return true;
    } else {
      const looks = 1 + (this.#doubts.get(key) ?? 0);
      this.#doubts.set(key, looks);
      if (away && looks < MAX_LOOKS) this.#sendLater(item, looks, { state: 'queued' });
      else this.#save(item, { state: 'unsure', reason: away ? 'the server cannot say' : 'messages are missing where it may have been' });
    }
    return false;
  }

  /** @param {OutboxItem} item @param {{ id: string, stored?: boolean }} answer */
  #onAnswer(item, answer) {
    this.#attempt = 0;
    this.#doubts.delete(item.key);
    if (this.items.includes(item)) this.#save(item, answer);
    this.#hooks.onStored(item.room, answer.id);
    this.#awaitEcho(item);
  }

  /** Looks an answered item up if its echo does not come: the store may have lost it. @param {OutboxItem} item */
  #awaitEcho(item) {
    const { key } = item;
    if (this.#awaited.has(key) || !this.items.includes(item)) return;
    this.#awaited.add(key);
    setTimeout(() => {
      this.#awaited.delete(key);
      if (this.items.includes(item) && item.id && !this.#stopped) this.#lookUp(item);
    }, ECHO_TIMEOUT_MS);
  }

  /** Asks the server for the message of an answered item. @param {OutboxItem} item */
  async #lookUp(item) {
    const { room, id } = item;
    if (this.#lookedUp.has(id)) return;
    this.#lookedUp.add(id);
    const { fetchMessage } = await load('lookups');
    const found = this.#hooks.canSend(room) ? await fetchMessage(this.#world, room, `${id}`) : undefined;
    this.#lookedUp.delete(id);
    if (!this.items.includes(item) || item.id !== id || this.#stopped) return;
    if (found === null) {
      const reason = 'the server took it, and no longer has it';
      this.#save(item, { state: 'unsure', reason, id: undefined, tried: false, gap: false, since: undefined, round: 1 + (item.round ?? 0) });
    } else if (found) {
      this.#save(item, { stored: true, gap: false });
      this.confirmUpTo(room, this.#hooks.cursor(room));
    }
    this.#awaitEcho(item);
  }

  /**
   * @param {OutboxItem} item
   * @param {number} seconds
   * @param {Partial<OutboxItem>} change
   */
  #sendLater(item, seconds, change) {
    // One time for all rooms: they share the limit and the outage.
    this.#notBefore = Math.max(this.#notBefore, this.#world.performance.now() + seconds * 1000);
    this.#save(item, { ...change, until: this.#notBefore });
  }

  /** @param {OutboxItem} item @param {Partial<OutboxItem>} change */
  #save(item, change) {
    Object.assign(item, change);
    if (this.#stopped) return; // another tab sends it
    this.#storage.set(`out:${item.key}`, JSON.stringify({ ...item, until: undefined }));
    this.#hooks.onOutbox();
  }
}

/** Returns the state of a stored item, which no tab is sending any more. @param {OutboxItem} item */
const stateAtRest = ({ state }) => (state === 'sending' || state === 'waiting' ? 'queued' : state);

/**
 * What became of a publish: `id` if it is stored, with the `mark` that the server made of the secret; `wait` in seconds,
 * `refused` for good, or `unknown`.
 * @typedef {{ id?: string, mark?: string, wait?: number, refused?: string, unknown?: string }} PublishResult
 */

/**
 * Posts a message.
 * @param {Pick<Window, 'fetch'>} world
 * @param {Pick<OutboxItem, 'room' | 'sender' | 'text' | 'key' | 'secret'>} item
 * @returns {Promise<PublishResult>}
 */
export async function publish(world, { room, sender, text, key, secret }) {
  const body = JSON.stringify({ sender, message: text, key, secret });
  try {
    const response = await world.fetch(`/${encodeURIComponent(room)}`, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
      body,
      keepalive: body.length < 20_000, // browsers refuse more than 64 KiB in all
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const answer = Object(await response.json().catch(() => null));
    const { id, mark } = answer;
    const { ok, status } = response;
    if (ok && id) return mark ? { id, mark } : { id };
    const reason = reasonOf(answer) || `The message was not accepted (${status}).`;
    if (status === 429) return { wait: Math.min(Number(response.headers.get('Retry-After')) || 1, MAX_WAIT_S) };
    return status >= 400 && status < 500 && status !== 408 ? { refused: reason } : { unknown: reason };
  } catch {
    return { unknown: 'The server did not answer.' };
  }
}
