/**
 * A tab's session: its view of what this browser's tabs share. It asks the leading tab's desk, and hears what that tells.
 * Only the leading tab loads one.
 */

import { Leadership } from './leader.js';
import { openMemory } from './memory.js';
import { START, newer, takenAt } from './text.js';

const PULSE = 5000; // milliseconds from one question whether the leader is there to the next
const ANSWER = 2000; // milliseconds for an answer
const VISITED = 16;

export function openSession(options, listener, world = globalThis) {
  return new Session(options, listener, world);
}

/** `crypto.randomUUID` would not do: browsers have it on https and localhost only. */
const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

class Session {
  #room;
  #rooms;
  #place;
  #name;
  #listener;
  #world;
  #memory;
  #tab = randomKey();
  #channel;
  #leadership;
  #desk;
  #items;
  #unheard = new Map(); // sent here, and not yet heard of from the leader
  #sent = new Map(); // when, by key
  #discarded = new Set();
  #firstUnread;
  #mine;
  #asked;
  #pulse;
  #rewound;
  #noticed;

  constructor({ room, offered, cursor, name }, listener, world) {
    const memory = openMemory(world);
    this.#room = room;
    this.#place = cursor;
    this.#name = name;
    this.#listener = listener;
    this.#world = world;
    this.#memory = memory;
    this.#firstUnread = memory.recall(`read:${room}`) || null;
    this.#mine = new Set(memory.recall(`mine:${room}`).split(' '));
    this.#items = memory.all('out:');
    const visited = new Set([room, ...memory.recall('visited').split(',').filter(Boolean)]);
    memory.remember('visited', [...visited].slice(0, VISITED).join());
    this.#rooms = [...new Set([...offered, ...visited])];
    const alone = memory.denied || !world.BroadcastChannel;
    this.#leadership = new Leadership(world, memory, this.#tab, alone, (leading) => this.#turned(leading));
    const on = (type, react) => world.addEventListener(type, react);
    on('online', () => this.#ask('wake'));
    on('offline', () => this.#ask('lose'));
    on('pagehide', () => this.#close());
    on('pageshow', ({ persisted }) => persisted && this.#open());
    world.document.addEventListener('visibilitychange', () => this.#ask(world.document.hidden ? 'rest' : 'wake'));
    setTimeout(() => this.#open(), 0); // the listener may need the session first
  }

  send(text) {
    const at = Math.max(Date.now(), 1 + (this.#items.at(-1)?.at ?? 0));
    const item = { key: randomKey(), room: this.#room, sender: this.#name(), text, at, state: 'queued' };
    this.#memory.remember(`out:${item.key}`, JSON.stringify(item));
    this.#unheard.set(item.key, item);
    this.#sent.set(item.key, this.#world.performance.now());
    this.#show([...this.#items, item]);
    this.#ask('put', { item });
    return item.key;
  }

  retry(key) {
    this.#ask('retry', { key });
  }

  discard(key) {
    const item = this.#items.find((each) => each.key === key);
    this.#memory.forget(`out:${key}`);
    this.#discarded.add(key);
    this.#unheard.delete(key);
    this.#ask('discard', { key });
    this.#show(this.#items);
    return item?.text ?? '';
  }

  reconnect() {
    this.#ask('reconnect');
  }

  read(id) {
    const key = `read:${this.#room}`;
    if (!newer(id, this.#memory.recall(key))) return;
    this.#memory.remember(key, id);
    this.#ask('read', { id });
  }

  /** The last id that was read in an earlier visit, or null. */
  unread() {
    return this.#firstUnread;
  }

  /** Whether the message was sent from this browser. */
  mine(id) {
    return this.#mine.has(id);
  }

  renamed() {
    this.#ask('rename');
  }

  #open() {
    if (!this.#leadership.alone) {
      this.#channel = new this.#world.BroadcastChannel('tiny-chat');
      this.#channel.onmessage = ({ data }) => this.#heard(data);
    }
    this.#leadership.seek();
    this.#hello();
    this.#show(this.#items);
    this.#pulse = setInterval(() => {
      this.#leadership.renew();
      if (!this.#leadership.leading) this.#ask('ping');
    }, PULSE);
  }

  #close() {
    const channel = this.#channel;
    this.#ask('bye');
    clearInterval(this.#pulse);
    clearTimeout(this.#asked);
    this.#asked = this.#channel = null;
    this.#leadership.release();
    channel?.close();
  }

  async #turned(leading) {
    this.#desk?.stop();
    this.#desk = null;
    if (!leading) return this.#channel && this.#leadership.seek();
    const { Desk } = await import('./desk.js');
    if (this.#desk || !this.#leadership.leading) return;
    this.#desk = new Desk(this.#world, this.#memory, (what) => {
      this.#channel?.postMessage(what);
      this.#told(what);
    });
    this.#desk.open();
  }

  /** Also brings this tab's place: where the stream is ahead of it, the leader reads again from there. */
  #hello() {
    this.#ask('hello', { place: this.#place, rooms: this.#rooms });
    for (const item of this.#unheard.values()) this.#ask('put', { item });
  }

  /** Who gets no answer leads. */
  #ask(ask, details) {
    const hidden = this.#world.document.hidden;
    const question = { ask, tab: this.#tab, room: this.#room, name: this.#name(), hidden, ...details };
    this.#desk?.asked(question);
    if (this.#leadership.leading) return;
    this.#channel?.postMessage(question);
    if (this.#asked || !this.#channel) return;
    this.#asked = setTimeout(() => {
      this.#asked = null;
      this.#leadership.seek(true);
    }, ANSWER);
  }

  #heard(what) {
    if (what.ask) return this.#desk?.asked(what);
    clearTimeout(this.#asked);
    this.#asked = null;
    this.#leadership.renew(); // if two lead, the lease decides
    this.#told(what);
  }

  #told({ tell, room, ...what }) {
    const listener = this.#listener;
    if (tell === 'leader') this.#hello();
    else if (tell === 'state') listener.state(what.state, what);
    else if (tell === 'outbox') this.#outbox(what.items);
    else if (tell === 'rooms') this.#badges(what.rooms);
    else if (room !== this.#room) return;
    else if (tell === 'messages') this.#history(what);
    else if (tell === 'message') this.#message(what);
    else if (tell === 'moved') this.#follows(what);
    else if (tell === 'gap') this.#gap(what.gap);
    else {
      if (tell === 'mine') this.#mine.add(what.data);
      listener[tell]?.(what.data);
    }
  }

  #message({ after, settles, ...said }) {
    const { id, mine } = said;
    if (id && !this.#follows({ id, after })) return;
    if (mine) this.#mine.add(id);
    const message = { ...said, at: takenAt(id) };
    if (this.#items.some(({ key }) => key === settles)) {
      this.#unheard.delete(settles);
      this.#listener.settled(settles, message, this.#sent.get(settles));
      this.#show(this.#items.filter(({ key }) => key !== settles));
    } else this.#listener.message(message);
  }

  /** Moves this tab's place, unless it has been there. Where something was left out, asks to read again. */
  #follows({ id, after }) {
    if (!this.#place || !newer(id, this.#place)) return false;
    const whole = !after || !newer(after, this.#place);
    if (whole) this.#place = id;
    else if (!this.#rewound) this.#hello();
    this.#rewound = !whole;
    return whole;
  }

  /** What comes after the gap may look older than what came before. */
  #gap(gap) {
    if (gap.asked !== this.#place) return;
    this.#place = START;
    this.#listener.gap(gap);
  }

  /** The page came without messages, because the server had lost its store. */
  #history({ messages, last }) {
    if (this.#place) return;
    this.#place = START;
    for (const message of messages) this.#message(message);
    this.#place = last;
    this.#hello();
  }

  #outbox(items) {
    for (const { key } of items) this.#unheard.delete(key);
    this.#show([...items, ...this.#unheard.values()]);
  }

  #show(items) {
    this.#items = items.filter(({ key }) => !this.#discarded.has(key));
    this.#listener.outbox(this.#items.filter(({ room }) => room === this.#room));
  }

  #badges(rooms) {
    const list = this.#rooms.map((name) => {
      const [, unread = 0, mention = false] = rooms.find(([room]) => room === name) ?? [];
      return { name, unread, mention, current: name === this.#room };
    });
    this.#listener.rooms(list);
    this.#noticed ||= list.some(({ unread }) => unread);
    if (this.#noticed) import('./notice.js').then(({ mark }) => mark(list, this.#world.document));
  }
}
