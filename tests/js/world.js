/**
 * A world for the tests: a server with rooms, browsers with tabs, and a clock that stands until it is told to tick.
 */

import '../../assets/desk.js';
import '../../assets/notice.js';
import '../../assets/outbox.js';
import { openSession } from '../../assets/session.js';
import { clock } from './clock.js';

export const START = Date.UTC(2026, 0, 2, 3, 4, 5);

export function stopTheClock() {
  clock.stop(START);
}

/** Lets promises settle, and `ms` pass. */
export async function pass(ms = 0) {
  await settle();
  for (let left = ms; left > 0; left -= 10) {
    clock.tick(Math.min(10, left));
    await settle();
  }
}

async function settle() {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
}

export class Server {
  rooms = new Map();
  keys = new Map();
  sources = new Set();
  posts = [];
  requests = [];
  /** What a POST, or any fetch, meets instead of the server: `(url, init) => Response-like | Promise | undefined`. */
  meets = () => undefined;
  up = true;
  live = true;

  log(room) {
    if (!this.rooms.has(room)) this.rooms.set(room, { entries: [], last: '0-0' });
    return this.rooms.get(room);
  }

  /** Stores a message and tells every stream of the room. */
  say(room, text, sender = 'mason', key = undefined) {
    const log = this.log(room);
    const id = `${Date.now()}-${Number(log.last.split('-')[1]) + 1}`;
    const entry = { id, data: { sender, message: text, ...(key && { key }) } };
    log.entries.push(entry);
    log.last = id;
    for (const source of this.sources) source.heard(room, entry);
    return id;
  }

  /** What was said is gone, as after a failover. */
  lose(room) {
    this.rooms.delete(room);
  }

  history(room, query) {
    const log = this.log(room);
    const after = query.get('after');
    const limit = Number(query.get('limit') ?? 50);
    const from = after ? log.entries.findIndex(({ id }) => id === after) + 1 : Math.max(0, log.entries.length - limit);
    const messages = log.entries.slice(from, from + limit);
    return { messages: messages.map(({ id, data }) => ({ id, sender: data.sender, message: data.message })), last: log.last };
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
    const [first, second] = pathname.slice(1).split('/').map(decodeURIComponent);
    if (init.method !== 'POST') {
      return this.live ? answer(200, this.history(second, searchParams)) : answer(503, { detail: 'no store' });
    }
    const { sender, message, key } = JSON.parse(init.body);
    this.posts.push({ room: first, sender, message, key });
    return answer(200, this.store(first, sender, message, key));
  };

  store(room, sender, message, key) {
    const known = this.keys.get(`${room} ${key}`);
    if (known) return { id: known, duplicate: true };
    const escaped = message.replace(/&/g, '&amp;').replace(/</g, '&lt;');
    const id = this.say(room, escaped, sender, key);
    this.keys.set(`${room} ${key}`, id);
    return { id };
  }
}

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

  heard(room, { id, data }) {
    const index = this.rooms.indexOf(room);
    if (index < 0 || !this.#vector) return;
    this.#vector[index] = id;
    this.emit('message', this.#named(room, data));
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
    const at = entries.findIndex(({ id }) => id === asked);
    if (at < 0 && asked !== last && asked !== '0-0') {
      this.emit('gap', this.#named(room, { asked, resumed: entries[0]?.id ?? null, reason: 'reset' }));
      this.#vector[index] = '0-0';
    }
    for (const entry of entries.slice(at + 1)) if (asked !== last) this.heard(room, entry);
  }
}

/** What tabs of one browser share. `secure` has Web Locks; `stored` is storage, or null where it is denied. */
export class Browser {
  stored = new Map();
  tabs = [];
  #locks = { held: null, queue: [] };

  constructor(server, { secure = true, storage = true } = {}) {
    Object.assign(this, { server, secure, storage });
  }

  open(room, { name = 'ada', offered = ['everyone', 'random'], cursor = this.server.log(room).last } = {}) {
    const tab = new Tab(this, room, name);
    this.tabs.push(tab);
    tab.session = openSession({ room, offered, cursor, node: 'chat-1', name: () => tab.name }, tab.listener, tab.world);
    return tab;
  }

  /** Storage as Window.localStorage has it: its keys are its own properties. */
  storageOf(tab) {
    if (!this.storage) throw new Error('denied');
    const { stored, tabs } = this;
    const tell = (key) => {
      for (const other of tabs) if (other !== tab) other.fire('storage', { key });
    };
    const methods = {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => {
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

  locks(tab) {
    const all = this.#locks;
    const grant = () => {
      const next = !all.held && all.queue.shift();
      if (next) next();
    };
    return {
      request: (name, { steal, signal }, held) =>
        new Promise((resolve, reject) => {
          const take = () => {
            const holder = { tab, reject };
            all.held = holder;
            queueMicrotask(() => {
              held().then(() => {
                if (all.held === holder) all.held = null;
                resolve();
                grant();
              });
            });
          };
          if (steal) {
            all.held?.reject(new DOMException('stolen', 'AbortError'));
            take();
            return;
          }
          all.queue.push(take);
          signal?.addEventListener('abort', () => {
            const index = all.queue.indexOf(take);
            if (index >= 0) all.queue.splice(index, 1);
            reject(signal.reason);
          });
          grant();
        }),
    };
  }
}

export class Tab {
  log = [];
  states = [];
  pending = [];
  badges = [];
  gaps = [];
  settled = [];
  sent = [];
  presence = [];
  frozen = false;
  #events = {};
  #channels = new Set();

  constructor(browser, room, name) {
    Object.assign(this, { browser, room, name });
    const tab = this;
    this.world = {
      EventSource: class extends Source {
        constructor(url) {
          super(browser.server, url);
          tab.source = this;
        }
      },
      BroadcastChannel: class {
        constructor() {
          tab.#channels.add(this);
        }
        postMessage(data) {
          const copy = JSON.stringify(data);
          for (const other of browser.tabs) {
            if (other !== tab && !tab.frozen) queueMicrotask(() => other.hear(JSON.parse(copy)));
          }
        }
        close() {
          tab.#channels.delete(this);
        }
      },
      fetch: (url, init) => browser.server.fetch(url, init),
      performance: { now: () => Date.now() - START + 1 },
      navigator: browser.secure ? { onLine: true, locks: browser.locks(this) } : { onLine: true },
      document: { hidden: false, title: room, querySelector: () => null, addEventListener: (type, react) => this.on(type, react) },
      addEventListener: (type, react) => this.on(type, react),
      get localStorage() {
        return browser.storageOf(tab);
      },
    };
    this.listener = {
      message: (message) => this.log.push(message),
      gap: (gap) => this.gaps.push(gap),
      state: (name, details) => this.states.push({ name, ...details }),
      presence: (presence) => this.presence.push(presence),
      joined() {},
      left() {},
      outbox: (items) => (this.pending = items.map((item) => ({ ...item }))),
      settled: (key, message, sent) => {
        this.settled.push({ key, stillPending: this.pending.some((item) => item.key === key) });
        this.sent.push(sent);
        this.log.push(message);
      },
      rooms: (list) => (this.badges = list),
    };
  }

  on(type, react) {
    (this.#events[type] ??= []).push(react);
  }

  fire(type, event = {}) {
    if (!this.closed) for (const react of this.#events[type] ?? []) react(event);
  }

  hear(data) {
    if (!this.frozen && !this.closed) for (const channel of this.#channels) channel.onmessage?.({ data });
  }

  get texts() {
    return this.log.map(({ text }) => text);
  }

  get state() {
    return this.states.at(-1)?.name;
  }

  get leads() {
    return Boolean(this.source && !this.source.closed);
  }

  badge(room) {
    return this.badges.find(({ name }) => name === room);
  }

  /** As when the user closes it: the page is told. */
  close() {
    this.fire('pagehide', { persisted: false });
    this.#gone();
  }

  #gone() {
    this.closed = true;
    this.source?.close();
    this.browser.tabs = this.browser.tabs.filter((tab) => tab !== this);
  }
}
