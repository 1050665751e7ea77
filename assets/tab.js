/**
 * One tab's view of what this browser's tabs share: its cursor, the outbox, unread counts. It sends requests to the leading
 * tab's hub and receives the hub's events; if this tab leads, it loads the hub.
 */

import { LeaderElection } from './leader-election.js';
import { LeaderHub } from './leader-hub.js';
import { holdTab } from './open-tabs.js';
import { openStorage } from './storage.js';
import { START, isAfter, timeOf, wellFormed } from './wire.js';

/** @import { HubEvent, HubMessage, Presence, TabRequest } from './leader-hub.js' */
/** @import { OutboxItem } from './outbox.js' */
/** @import { ConnectionState, Step } from './stream.js' */
/** @import { UnreadCount } from './unread.js' */
/** @import { Deletion, Edit, Gap, Message } from './wire.js' */

const PING_INTERVAL_MS = 5000;
const LEADER_TIMEOUT_MS = 2000; // without an answer, this tab takes over
const MAX_VISITED_ROOMS = 50;
const DENIED = 'This browser keeps nothing for this page: your name, drafts and unsent messages are lost when it is closed.';
const FULL = 'This browser has no more room for this page: drafts and unsent messages are lost when it is closed.';

/**
 * @typedef {object} TabOptions
 * @property {string} room
 * @property {string[]} offered rooms that the page lists
 * @property {string} [cursor] of the page's last message; empty if the page came without messages
 * @property {() => string} name of the user, now
 */

/**
 * What the page is told.
 * @typedef {object} TabHooks
 * @property {(state: ConnectionState) => void} onState
 * @property {(message: Message) => void} onMessage
 * @property {(key: string, message: Message, sentAt?: number) => void} onConfirmed a pending message is in the log; called
 *   before it leaves the outbox. `sentAt` is on the clock of `performance`, if this tab has sent it
 * @property {(id: string) => void} onOwn a message of the log turns out to be from this browser
 * @property {(deletion: Deletion) => void} onDeletion
 * @property {(edit: Edit) => void} onEdit a message was changed; may come twice, and for one that is not shown
 * @property {(gap: Gap) => void} onGap
 * @property {() => void} onChange of `outbox`, `counts`, `presence` or `rooms`
 * @property {(sentence: string) => void} onNotice what the user should know about this browser
 */

/** Returns a random key. `crypto.randomUUID` would not do: browsers have it on https and localhost only. */
const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

export class Tab {
  /** @type {OutboxItem[]} */
  outbox = []; // the items of this room
  /** @type {UnreadCount[]} */
  counts = [];
  /** @type {Presence} */
  presence = {};
  /** @type {string[]} */
  rooms = []; // that the page lists, with their counts
  id = randomKey();
  #room;
  /** @type {string[]} */
  #offered;
  #cursor;
  #name;
  #hooks;
  #world;
  #storage;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  #election;
  /** @type {LeaderHub | undefined} */
  #hub; // if this tab leads
  /** @type {OutboxItem[]} */
  #items; // of all rooms
  /** @type {Map<string, OutboxItem>} */
  #unacknowledged = new Map(); // sent here, and not yet in an outbox that the leader showed
  /** @type {Map<string, number>} */
  #sentAt = new Map(); // by key
  #discarded = new Set();
  #noticed = new Set();
  #letGo = () => {}; // of this tab's lock
  #own;
  /** @type {number | undefined} */
  #leaderTimer;
  /** @type {number | undefined} */
  #pingTimer;
  #rewound = false; // the leader was asked to read again

  /**
   * @param {TabOptions} options
   * @param {TabHooks} hooks
   * @param {Window & typeof globalThis} world
   */
  constructor({ room, offered, cursor, name }, hooks, world = window) {
    const storage = openStorage(world);
    this.#room = room;
    this.#cursor = cursor;
    this.#name = name;
    this.#hooks = hooks;
    this.#world = world;
    this.#storage = storage;
    this.lastRead = storage.get(`read:${room}`); // in an earlier visit
    this.#own = new Set(storage.get(`mine:${room}`).split(' '));
    this.#items = storage.records('out:');
    this.#offered = offered;
    this.#visit();
    const alone = storage.denied || !world.BroadcastChannel;
    this.#election = new LeaderElection(world, storage, this.id, alone, (leading) => this.#onLeading(leading));
    world.addEventListener('online', () => this.#ask('wake'));
    world.addEventListener('offline', () => this.#ask('offline'));
    world.addEventListener('pagehide', () => this.#close());
    world.addEventListener('pageshow', ({ persisted }) => persisted && this.#open());
    world.addEventListener('storage', ({ key }) => /^tiny-chat:(visited|left)$/.test(`${key}`) && this.#listRooms());
    const { document } = world;
    document.addEventListener('visibilitychange', () => this.#ask(document.hidden ? 'hide' : 'wake'));
    storage.lost.tell = () => this.#notice(FULL);
    if (storage.denied) this.#notice(DENIED);
    setTimeout(() => this.#open(), 0); // the hooks may need the tab first
  }

  /** Puts a message into the outbox and returns its key. @param {string} text */
  send(text) {
    const at = Math.max(Date.now(), 1 + (this.#items.at(-1)?.at ?? 0)); // the clock may have been put back
    /** @type {OutboxItem} */
    const item = { key: randomKey(), room: this.#room, sender: this.#sender, text: wellFormed(text), at, state: 'queued' };
    this.#storage.set(`out:${item.key}`, JSON.stringify(item));
    this.#unacknowledged.set(item.key, item);
    this.#sentAt.set(item.key, this.#world.performance.now());
    this.#showItems([...this.#items, item]);
    this.#ask('send', { item });
    return item.key;
  }

  /** Sends a failed or unsure message again. @param {string} key */
  retry(key) {
    this.#ask('retry', { key });
  }

  /** Removes a message from the outbox and returns its text. @param {string} key */
  discard(key) {
    const item = this.#items.find((each) => each.key === key);
    this.#storage.remove(`out:${key}`);
    this.#discarded.add(key);
    this.#unacknowledged.delete(key);
    this.#ask('discard', { key });
    this.#showItems(this.#items);
    return item?.text ?? '';
  }

  reconnect() {
    this.#ask('reconnect');
  }

  /** Marks the room as read up to a message. @param {string} id */
  markRead(id) {
    const key = `read:${this.#room}`;
    if (!isAfter(id, this.#storage.get(key))) return;
    this.#storage.set(key, id);
    this.#ask('read', { id });
  }

  /** Returns true if a message was sent from this browser, or from another with its secret. @param {string} id @param {string} [mark] */
  isOwn(id, mark) {
    return this.#own.has(id) || (!!mark && mark === this.#storage.get('mark'));
  }

  /**
   * Takes a room off the list of rooms, in all tabs, until it is visited again. A tab that shows it keeps it.
   * @param {string} name
   */
  leaveRoom(name) {
    const storage = this.#storage;
    const without = (/** @type {string} */ key) => this.#listed(key).filter((each) => each !== name);
    storage.set('visited', without('visited').join());
    if (this.#offered.includes(name)) storage.set('left', [...without('left'), name].join());
    for (const kept of ['read', 'mine']) storage.remove(`${kept}:${name}`);
    this.#listRooms();
  }

  /** Tells the leader that the user has changed their name. */
  rename() {
    this.#ask('rename');
  }

  /** The user's name, without half characters. */
  get #sender() {
    return wellFormed(this.#name());
  }

  /** @param {string} key of a list of rooms */
  #listed(key) {
    return this.#storage.get(key).split(',').filter(Boolean);
  }

  /** Puts this tab's room on the list of visited ones. The one that was not visited for the longest time leaves a full list. */
  #visit() {
    const room = this.#room;
    const [left, visited] = ['left', 'visited'].map((key) => this.#listed(key).filter((each) => each !== room));
    const gone = visited.splice(MAX_VISITED_ROOMS - 1);
    this.#storage.set('left', left.join());
    this.#storage.set('visited', [room, ...visited].join());
    this.rooms = this.#roomsNow();
    const dropped = gone.filter((each) => !this.rooms.includes(each));
    if (dropped.length) {
      const sentence = `No longer in your list, which has the last ${MAX_VISITED_ROOMS} rooms that you visited: ${dropped.join(', ')}`;
      this.#notice(sentence);
    }
  }

  /** Tells the user a sentence, once. @param {string} sentence */
  #notice(sentence) {
    if (this.#noticed.has(sentence)) return;
    this.#noticed.add(sentence);
    setTimeout(() => this.#hooks.onNotice(sentence), 0);
  }

  #roomsNow() {
    const left = this.#listed('left');
    const offered = this.#offered.filter((each) => !left.includes(each));
    return [...new Set([...offered, this.#room, ...this.#listed('visited')])];
  }

  #listRooms() {
    this.rooms = this.#roomsNow();
    this.#ask('list', { rooms: this.rooms });
    this.#hooks.onChange();
  }

  #open() {
    if (!this.#election.alone) {
      this.#channel = new this.#world.BroadcastChannel('tiny-chat');
      this.#channel.onmessage = ({ data }) => this.#receive(data);
    }
    this.#letGo = holdTab(this.#world, this.id);
    this.#election.campaign();
    this.#hello();
    this.#showItems(this.#items);
    this.#pingTimer = setInterval(() => {
      this.#election.renew();
      this.#ask('ping');
    }, PING_INTERVAL_MS);
  }

  #close() {
    const channel = this.#channel;
    this.#ask('bye');
    clearInterval(this.#pingTimer);
    clearTimeout(this.#leaderTimer);
    this.#leaderTimer = this.#channel = undefined;
    this.#election.resign();
    this.#letGo();
    channel?.close();
  }

  /** @param {boolean} leading */
  #onLeading(leading) {
    this.#hub?.stop();
    this.#hub = undefined;
    if (!leading) return this.#channel && this.#election.campaign();
    this.#hub = new LeaderHub(this.#world, this.#storage, (event) => {
      this.#channel?.postMessage(event);
      this.#handle(event);
    });
    this.#hub.start();
  }

  #hello() {
    this.#ask('hello', { cursor: this.#cursor, rooms: this.rooms });
    for (const item of this.#unacknowledged.values()) this.#ask('send', { item });
  }

  /**
   * Sends a request to the leader. Without an answer this tab takes over.
   * @param {TabRequest['request']} request
   * @param {Partial<TabRequest>} [details]
   */
  #ask(request, details) {
    const { hidden } = this.#world.document;
    const state = { tab: this.id, room: this.#room, name: this.#sender, hidden };
    const message = /** @type {TabRequest} */ ({ request, ...state, ...details });
    this.#hub?.handle(message);
    if (this.#election.leading) return;
    this.#channel?.postMessage(message);
    if (this.#leaderTimer || !this.#channel) return;
    this.#leaderTimer = setTimeout(() => {
      this.#leaderTimer = undefined;
      this.#election.campaign(true);
    }, LEADER_TIMEOUT_MS);
  }

  /** @param {TabRequest | HubEvent} data */
  #receive(data) {
    if ('request' in data) return this.#hub?.handle(data);
    clearTimeout(this.#leaderTimer);
    this.#leaderTimer = undefined;
    this.#election.renew(); // if two tabs lead, the lease decides
    this.#handle(data);
  }

  /** @param {HubEvent} event */
  #handle(event) {
    if ('room' in event && event.room !== this.#room) return;
    const hooks = this.#hooks;
    switch (event.event) {
      case 'leader':
        return this.#hello();
      case 'state':
        return hooks.onState({ ...event, until: this.#timeIn(event.wait) });
      case 'outbox':
        return this.#onOutbox(event.items);
      case 'unread':
        this.counts = event.counts;
        return hooks.onChange();
      case 'message':
        return this.#onMessage(event);
      case 'latest':
        return this.#onLatest(event.messages, event.last);
      case 'cursor':
        this.#advance(event);
        return;
      case 'deletion':
        return hooks.onDeletion(event.deletion); // it may come twice
      case 'edit':
        return hooks.onEdit(event.edit);
      case 'gap':
        return this.#onGap(event.gap, event.cursor);
      case 'presence':
        this.presence = event.presence;
        return hooks.onChange();
      case 'own':
        this.#own.add(event.id);
        return hooks.onOwn(event.id);
    }
  }

  /** @param {HubMessage} message */
  #onMessage({ id, previous, confirms, sender, text, mine, mark, edited }) {
    if (id && !this.#advance({ id, previous })) return;
    if (id && mine) this.#own.add(id);
    const message = { id, sender, text, mine, mark, edited, at: timeOf(id) };
    if (confirms && this.#items.some(({ key }) => key === confirms)) {
      this.#unacknowledged.delete(confirms);
      this.#hooks.onConfirmed(confirms, message, this.#sentAt.get(confirms));
      this.#showItems(this.#items.filter(({ key }) => key !== confirms));
    } else this.#hooks.onMessage(message);
  }

  /**
   * Moves this tab's cursor and returns true. Returns false if the cursor is there already, or if something is missing in
   * between, which the leader is asked to read again.
   * @param {Step} step
   */
  #advance({ id, previous }) {
    if (!this.#cursor || !isAfter(id, this.#cursor)) return false;
    const whole = !previous || !isAfter(previous, this.#cursor);
    if (whole) this.#cursor = id;
    else if (!this.#rewound) this.#hello();
    this.#rewound = !whole;
    return whole;
  }

  /**
   * Shows a gap, and goes on from the cursor after it, which may look older than what came before.
   * @param {Gap} gap
   * @param {string} cursor
   */
  #onGap(gap, cursor) {
    if (gap.asked !== this.#cursor) return;
    this.#cursor = cursor;
    this.#hooks.onGap(gap);
  }

  /**
   * Shows the latest messages if the page came without, as from a server that had lost its store.
   * @param {HubMessage[]} messages
   * @param {string} last
   */
  #onLatest(messages, last) {
    if (this.#cursor) return;
    this.#cursor = START;
    for (const message of messages) this.#onMessage(message);
    this.#cursor = last;
    this.#hello();
  }

  /** Returns a time on this tab's clock of `performance`, which does not jump. @param {number | undefined} wait milliseconds */
  #timeIn(wait) {
    return wait === undefined ? undefined : this.#world.performance.now() + wait;
  }

  /** @param {OutboxItem[]} items */
  #onOutbox(items) {
    for (const item of items) {
      this.#unacknowledged.delete(item.key);
      item.until = this.#timeIn(item.wait);
    }
    this.#showItems([...items, ...this.#unacknowledged.values()]);
  }

  /** @param {OutboxItem[]} items */
  #showItems(items) {
    this.#items = items.filter(({ key }) => !this.#discarded.has(key));
    this.outbox = this.#items.filter(({ room }) => room === this.#room);
    this.#hooks.onChange();
  }
}
