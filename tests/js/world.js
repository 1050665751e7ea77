/**
 * Fakes for the tests: a server with rooms, and browsers with pages that share storage, locks and channels.
 */

// Loaded now, so that the modules' own dynamic imports resolve without delay.
import '../../assets/common-words.js';
import '../../assets/edits.js';
import '../../assets/leader-hub.js';
import '../../assets/mentions.js';
import '../../assets/lookups.js';
import '../../assets/notifications.js';

import { roomStates } from '../../assets/rooms.js';
import { Tab } from '../../assets/tab.js';
import { isAfter, isDeleted } from '../../assets/wire.js';
import { clock } from './clock.js';

const KEY_MS = 600_000; // for which the server remembers idempotency keys

export const START = Date.UTC(2026, 0, 2, 3, 4, 5);

export function stopTheClock() {
  clock.stop(START);
}

/** Opens a page and waits until it is live. */
export async function open(browser, room = 'everyone', options = {}) {
  const page = browser.open(room, options);
  await pass(200);
  return page;
}

/** Returns the text and the state of each pending message. */
export const states = (page) => page.pending.map(({ text, state }) => [text, state]);

/** Runs pending promises, and lets `ms` pass. */
export async function pass(ms = 0) {
  await runPromises();
  for (let left = ms; left > 0; left -= 10) {
    clock.tick(Math.min(10, left));
    await runPromises();
  }
}

async function runPromises() {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
}

export class Server {
  rooms = new Map();
  keys = new Map();
  sources = new Set();
  opened = 0; // streams so far
  posts = [];
  requests = [];
  /** Answers a fetch in place of the server, unless it returns undefined: `(url, init) => Response-like | Promise | undefined`. */
  meets = () => undefined;
  up = true;
  live = true;
  silent = false; // whether no stream gets an entry

  log(room) {
    if (!this.rooms.has(room)) this.rooms.set(room, { entries: [], last: '0-0' });
    return this.rooms.get(room);
  }

  /** Appends a message to a room's log and sends it to every stream of the room. */
  say(room, text, sender = 'mason', key = undefined) {
    const log = this.log(room);
    const id = `${Date.now()}-${Number(log.last.split('-')[1]) + 1}`;
    return this.append(room, { id, previous: log.last, data: { sender, message: text, ...(key && { key }) } });
  }

  /** Appends an event of an app, or a deletion, to a room's log. */
  send(room, type, data) {
    const log = this.log(room);
    const id = `${Date.now()}-${Number(log.last.split('-')[1]) + 1}`;
    return this.append(room, { id, previous: log.last, type, data });
  }

  append(room, entry) {
    const log = this.log(room);
    log.entries.push(entry);
    log.last = entry.id;
    for (const source of this.sources) source.receive(room, entry);
    return entry.id;
  }

  /** Deletes a message, or all without an id. */
  delete(room, id) {
    const log = this.log(room);
    log.entries = log.entries.filter((entry) => id && entry.id !== id);
    return this.send(room, 'delete', id ? { id } : { all: true });
  }

  /** Deletes a room's log, as a failover may. */
  lose(room) {
    this.rooms.delete(room);
  }

  /** Deletes the oldest messages of a room's log. */
  trim(room, count) {
    this.log(room).entries.splice(0, count);
  }

  history(room, query) {
    const log = this.log(room);
    const after = query.get('after');
    const limit = Number(query.get('limit') ?? 50);
    const found = after ? log.entries.filter(({ id }) => isAfter(id, after)).slice(0, limit) : log.entries.slice(-limit);
    const all = query.get('all') === '1';
    const messages = found.flatMap(({ id, type, data }) => {
      if (type) return all ? [{ id, type, data: JSON.stringify(data) }] : [];
      return [{ id, ...data }];
    });
    const last = found.length < limit ? log.last : found.at(-1).id;
    return { messages, first: found[0]?.id ?? last, last };
  }

  message(room, wanted) {
    const { id, data } = this.log(room).entries.find(({ id, type }) => id === wanted && !type) ?? {};
    return id ? answer(200, { id, ...data }) : answer(404, {});
  }

  cut() {
    this.up = false;
    for (const source of this.sources) source.fail();
  }

  restore() {
    this.up = true;
  }

  fetch = async (url, init = {}) => {
    this.requests.push(url);
    const met = await this.meets(url, init);
    if (met) return met;
    if (!this.up) throw new TypeError('network');
    const { pathname, searchParams } = new URL(url, 'http://server');
    const [first, second, third] = pathname.slice(1).split('/').map(decodeURIComponent);
    if (init.method !== 'POST') {
      if (this.live && third) return this.message(second, third);
      return this.live ? answer(200, this.history(second, searchParams)) : answer(503, { detail: 'no store' });
    }
    const { sender, message, key, secret } = JSON.parse(init.body);
    this.posts.push({ room: first, sender, message, key });
    return answer(200, { ...this.store(first, sender, message, key), mark: markOf(secret) });
  };

  store(room, sender, message, key) {
    const known = this.keys.get(`${room} ${key}`);
    if (known && Date.now() - known.at < KEY_MS) return { id: known.id, duplicate: true };
    const escaped = message.replace(/&/g, '&amp;').replace(/</g, '&lt;');
    const id = this.say(room, escaped, sender, key);
    this.keys.set(`${room} ${key}`, { id, at: Date.now() });
    return { id };
  }
}

/** Returns the mark of a secret, which is a hash in truth. */
export const markOf = (secret) => Buffer.from(secret.slice(0, 16)).toString('hex');

export function answer(status, body, headers = {}) {
  return { ok: status < 300, status, headers: new Headers(headers), json: async () => body };
}

class Source {
  #listeners = {};
  #vector;
  closed = false;

  constructor(server, url) {
    this.server = server;
    this.url = url;
    const { pathname, searchParams } = new URL(url, 'http://server');
    this.rooms = pathname.split('/')[2].split(',').map(decodeURIComponent);
    this.query = searchParams;
    server.sources.add(this);
    server.opened += 1;
    queueMicrotask(() => (server.up ? this.#open() : this.fail()));
  }

  addEventListener(type, react) {
    this.#listeners[type] = react;
  }

  close() {
    this.closed = true;
    this.server.sources.delete(this);
  }

  fail() {
    if (!this.closed) this.onerror?.({});
  }

  emit(type, data) {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    if (!this.closed) this.#listeners[type]?.({ data: text, lastEventId: this.#vector?.join() ?? '' });
  }

  receive(room, { id, type = 'message', data }) {
    const index = this.rooms.indexOf(room);
    if (index < 0 || !this.#vector || this.server.silent) return;
    this.#vector[index] = id;
    this.emit(type, this.#named(room, data));
  }

  #named(room, data) {
    return this.rooms.length > 1 ? { ...data, room } : data;
  }

  #open() {
    const { live } = this.server;
    const asked = this.query.get('lastEventId')?.split(',');
    if (live || asked) this.#vector = asked ?? this.rooms.map((room) => this.server.log(room).last);
    this.emit('status', { live, node: 'chat-1', heartbeat: 15 });
    if (live) for (const [index, room] of this.rooms.entries()) this.#replay(index, room);
  }

  #replay(index, room) {
    const { entries, last } = this.server.log(room);
    const asked = this.#vector[index];
    const at = entries.findLastIndex(({ id }) => !isAfter(id, asked)); // a deleted one is no gap
    const isKnown = at >= 0 || entries[0]?.previous === asked || entries[0]?.type === 'delete';
    if (!isKnown && asked !== last && asked !== '0-0') {
      this.#vector[index] = entries[0]?.previous ?? last;
      this.emit('gap', this.#named(room, { asked, resumed: entries[0]?.id ?? null, reason: 'reset' }));
    }
    for (const entry of entries.slice(at + 1)) if (asked !== last) this.receive(room, entry);
  }
}

/** What the pages of one browser share. A `secure` one has Web Locks; without `storage`, storage is denied. */
export class Browser {
  stored = new Map();
  pages = [];
  full = false; // whether nothing more can be stored
  #locks = new Map(); // by name

  constructor(server, { secure = true, storage = true } = {}) {
    Object.assign(this, { server, secure, storage });
  }

  open(room, { name = 'ada', offered = ['everyone', 'random'], cursor = this.server.log(room).last } = {}) {
    const page = new Page(this, room, name);
    this.pages.push(page);
    page.tab = new Tab({ room, offered, cursor, name: () => page.name }, page.hooks, page.world);
    return page;
  }

  /** Returns storage as Window.localStorage: its keys are its own properties, and other pages receive its events. */
  storageOf(page) {
    if (!this.storage) throw new Error('denied');
    const { stored, pages } = this;
    const tell = (key) => {
      for (const other of pages) if (other !== page) other.fire('storage', { key });
    };
    const methods = {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => {
        if (this.full) throw new Error('full');
        stored.set(key, String(value));
        queueMicrotask(() => tell(key));
      },
      removeItem: (key) => {
        if (stored.delete(key)) queueMicrotask(() => tell(key));
      },
    };
    return new Proxy(methods, {
      ownKeys: () => [...stored.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    });
  }

  locks(page) {
    const of = (name) => {
      if (!this.#locks.has(name)) this.#locks.set(name, { held: null, queue: [] });
      return this.#locks.get(name);
    };
    const grant = (lock) => {
      const next = !lock.held && lock.queue.shift();
      if (next) next();
    };
    const request = (name, { steal, signal }, held) =>
      new Promise((resolve, reject) => {
        const lock = of(name);
        const take = () => {
          const holder = { page, reject };
          lock.held = holder;
          queueMicrotask(() => {
            held().then(() => {
              if (lock.held === holder) lock.held = null;
              resolve();
              grant(lock);
            });
          });
        };
        if (steal) {
          lock.held?.reject(new DOMException('stolen', 'AbortError'));
          take();
          return;
        }
        lock.queue.push(take);
        signal?.addEventListener('abort', () => {
          const index = lock.queue.indexOf(take);
          if (index >= 0) lock.queue.splice(index, 1);
          reject(signal.reason);
        });
        grant(lock);
      });
    const query = async () => ({ held: [...this.#locks].filter(([, { held }]) => held).map(([name]) => ({ name })) });
    return { request, query };
  }
}

/** A fake page around a tab: it records what the tab's hooks receive. */
export class Page {
  log = [];
  states = [];
  pending = [];
  badges = [];
  gaps = [];
  deletions = [];
  edits = [];
  notices = [];
  confirmed = [];
  sent = [];
  frozen = false;
  #events = {};
  #channels = new Set();

  constructor(browser, room, name) {
    Object.assign(this, { browser, room, name });
    const page = this;
    this.world = {
      EventSource: class extends Source {
        constructor(url) {
          super(browser.server, url);
          page.source = this;
        }
      },
      BroadcastChannel: class {
        constructor() {
          page.#channels.add(this);
        }
        postMessage(data) {
          const copy = JSON.stringify(data);
          for (const other of browser.pages) {
            if (other !== page && !page.frozen) queueMicrotask(() => other.receive(JSON.parse(copy)));
          }
        }
        close() {
          page.#channels.delete(this);
        }
      },
      fetch: (url, init) => browser.server.fetch(url, init),
      performance: { now: () => clock.passed() },
      navigator: browser.secure ? { onLine: true, locks: browser.locks(this) } : { onLine: true },
      document: { hidden: false, title: room, querySelector: () => null, addEventListener: (type, react) => this.on(type, react) },
      addEventListener: (type, react) => this.on(type, react),
      get localStorage() {
        return browser.storageOf(page);
      },
    };
    this.hooks = {
      onMessage: (message) => this.log.push(message),
      onGap: (gap) => this.gaps.push(gap),
      onDeletion: (deletion) => {
        this.deletions.push(deletion);
        this.log = this.log.filter(({ id }) => !isDeleted(deletion, id ?? ''));
      },
      onState: (state) => this.states.push(state),
      onOwn() {},
      onEdit: (edit) => this.edits.push(edit),
      onNotice: (sentence) => this.notices.push(sentence),
      onChange: () => {
        this.pending = this.tab.outbox.map((item) => ({ ...item }));
        this.badges = roomStates(this.tab.rooms, this.tab.counts, room);
      },
      onConfirmed: (key, message, sentAt) => {
        this.confirmed.push({ key, stillPending: this.pending.some((item) => item.key === key) });
        this.sent.push(sentAt);
        this.log.push(message);
      },
    };
  }

  on(type, react) {
    (this.#events[type] ??= []).push(react);
  }

  fire(type, event = {}) {
    if (!this.closed) for (const react of this.#events[type] ?? []) react(event);
  }

  receive(data) {
    if (!this.frozen && !this.closed) for (const channel of this.#channels) channel.onmessage?.({ data });
  }

  get texts() {
    return this.log.map(({ text }) => text);
  }

  get state() {
    return this.states.at(-1)?.state;
  }

  get leads() {
    return Boolean(this.source && !this.source.closed);
  }

  badge(room) {
    return this.badges.find(({ name }) => name === room);
  }

  /** Closes the page as a user does: `pagehide` is fired. */
  close() {
    this.fire('pagehide', { persisted: false });
    this.#gone();
  }

  #gone() {
    this.closed = true;
    this.source?.close();
    this.browser.pages = this.browser.pages.filter((page) => page !== this);
  }
}
