/**
 * The leader hub: what the leading tab does for all tabs of this browser. It holds the stream of every room they need,
 * sends the outbox, counts unread messages, and broadcasts the events of all that.
 */

import { mayMention } from './fold-case.js';
import { fetchHistory } from './history.js';
import { load } from './load.js';
import { isMuted, noticesOf } from './mute.js';
import { Outbox } from './outbox.js';
import { openTabs } from './open-tabs.js';
import { Stream, fitting } from './stream.js';
import { UnreadCounts } from './unread.js';
import { decode, decodeMessage, isAfter, parseMessage, parseObject } from './wire.js';

/** @import { HistoryMessage } from './history.js' */
/** @import { OutboxHooks, OutboxItem } from './outbox.js' */
/** @import { PageStorage } from './storage.js' */
/** @import { ConnectionState, Step, StreamHooks } from './stream.js' */
/** @import { UnreadCount } from './unread.js' */
/** @import { Deletion, Edit, Gap } from './wire.js' */

const MAX_OWN_IDS = 200; // remembered for each room
const MAX_CURSOR_AGE_MS = 3_600_000; // from older ones too much would be replayed
const TAB_TIMEOUT_MS = 180_000; // until a silent tab counts as closed where there are no locks; a hidden one's timers run once a minute
const LOCK_TIMEOUT_MS = 10_000; // until a silent tab without its lock does
const CHECK_TABS_MS = 5000;
const CURSORS_WAIT_MS = 300; // for the cursors of further rooms, so that they need no second stream

/**
 * What every request of a tab says about the tab.
 * @typedef {object} TabState
 * @property {string} tab its id
 * @property {string} room
 * @property {string} name
 * @property {boolean} hidden
 * @property {string} [cursor] of its room, with `hello`; empty if the page came without messages
 * @property {string[]} [rooms] whose unread counts it shows, with `hello` and `list`
 */

/**
 * A request from a tab to the leader. `hello` introduces the tab and brings its cursor: where the stream is ahead of it, the
 * leader reads again from there. `hide`, `list` and `rename` only bring a new state.
 * @typedef {TabState & (
 *   { request: 'hello' | 'ping' | 'bye' | 'rename' | 'hide' | 'list' | 'wake' | 'reconnect' | 'offline' } |
 *   { request: 'send', item: OutboxItem } |
 *   { request: 'retry' | 'discard', key: string } |
 *   { request: 'read', id: string })} TabRequest
 */

/**
 * A message of the log.
 * @typedef {object} HubMessage
 * @property {string | null} id null for a foreign publish
 * @property {string} sender
 * @property {string} text
 * @property {boolean} mine
 * @property {string} [mark]
 * @property {boolean} [edited]
 * @property {string} [previous] the cursor before it
 * @property {string} [confirms] the key of the outbox item that it is
 */

/** @typedef {{ count?: number, names?: string[] }} Presence `names` is absent if there are too many */

/**
 * An event from the leader to all tabs. `leader` announces a new leader, `latest` brings the messages of a page that came
 * without, `cursor` is a step without a message.
 * @typedef {{ event: 'leader' | 'pong' } |
 *   { event: 'state' } & ConnectionState |
 *   { event: 'outbox', items: OutboxItem[] } |
 *   { event: 'unread', counts: UnreadCount[] } |
 *   { event: 'message', room: string } & HubMessage |
 *   { event: 'latest', room: string, messages: HubMessage[], last: string } |
 *   { event: 'cursor', room: string } & Step |
 *   { event: 'gap', room: string, gap: Gap, cursor: string } |
 *   { event: 'deletion', room: string, deletion: Deletion } |
 *   { event: 'edit', room: string, edit: Edit } |
 *   { event: 'presence', room: string, presence: Presence } |
 *   { event: 'own', room: string, id: string }} HubEvent
 */

/**
 * @implements {StreamHooks}
 * @implements {OutboxHooks}
 */
export class LeaderHub {
  #world;
  #storage;
  #broadcast;
  /** @type {Map<string, TabState & { seen: number }>} */
  #tabs = new Map();
  #stream;
  #outbox;
  #unread;
  #name = '';
  /** @type {Map<string, HubEvent>} */
  #presence = new Map(); // the last event of each room
  /** @type {ConnectionState} */
  #state = { state: 'connecting' };
  /** @type {Record<string, any>} */
  #tasks = {};
  #subscription = ''; // rooms, presence and name of the stream
  #lookups = 0; // requests for cursors that are under way
  #cursorsDue = 0; // until when the stream waits for them
  #stopped = false;

  /**
   * @param {Window & typeof globalThis} world
   * @param {PageStorage} storage
   * @param {(event: HubEvent) => void} broadcast reaches every tab, this one too
   */
  constructor(world, storage, broadcast) {
    const { at, cursors, unread } = parseObject(storage.get('state'));
    this.#world = world;
    this.#storage = storage;
    this.#broadcast = broadcast;
    this.#unread = new UnreadCounts(unread);
    for (const room in this.#unread.rooms) this.#unread.markRead(room, storage.get(`read:${room}`));
    this.#outbox = new Outbox(world, storage, this);
    this.#stream = new Stream(world, this);
    if (Date.now() - at < MAX_CURSOR_AGE_MS) Object.assign(this.#stream.cursors, cursors);
  }

  start() {
    this.#broadcast({ event: 'leader' });
  }

  stop() {
    this.#save();
    this.#stopped = true;
    this.#outbox.stop();
    this.#stream.close();
  }

  /** @param {TabRequest} request */
  handle(request) {
    const { tab } = request;
    const known = this.#tabs.get(tab);
    this.#tabs.set(tab, { ...known, ...request, seen: this.#world.performance.now() });
    this.#answer(request);
    if (!known && request.request !== 'hello') this.#broadcast({ event: 'leader' }); // all introduce themselves
    this.#schedule('tabs', CHECK_TABS_MS, () => this.#forgetClosedTabs());
    // A hidden tab's timers are late.
    this.#schedule('subscribe', this.#world.document.hidden ? 0 : 30, () => this.#subscribe());
  }

  /** @param {TabRequest} request */
  #answer(request) {
    switch (request.request) {
      case 'hello':
        return this.#welcome(request);
      case 'ping':
        // A frozen tab may still answer messages while its timers and its stream stand still; then another has to lead.
        return this.#stream.overdue || this.#broadcast({ event: 'pong' });
      case 'bye':
        return this.#forgetTabs([request.tab]);
      case 'send':
        return this.#outbox.add(request.item);
      case 'retry':
        return this.#outbox.retry(request.key, request.name);
      case 'discard':
        return this.#outbox.remove(request.key);
      case 'read':
        this.#unread.markRead(request.room, request.id);
        return this.#onCount();
      case 'rename':
        this.#name = request.name;
        clearTimeout(this.#tasks.subscribe);
        delete this.#tasks.subscribe;
        return this.#schedule('subscribe', 1500, () => this.#subscribe()); // when the name is typed to its end
      case 'reconnect':
        return this.#stream.connect();
      case 'wake':
        return this.#stream.wake();
      case 'offline':
        return this.#stream.reconnectLater();
    }
  }

  /** @param {TabState} tab */
  #welcome({ room, cursor, name }) {
    const { cursors } = this.#stream;
    if (cursor && (!cursors[room] || isAfter(cursors[room], cursor))) {
      cursors[room] = cursor;
      this.#subscription = ''; // to read again from there
    }
    this.#unread.markRead(room, this.#storage.get(`read:${room}`)); // while no tab led, no request told it
    this.#name ||= name;
    this.#broadcastState();
    for (const presence of this.#presence.values()) this.#broadcast(presence);
    this.onOutbox();
    this.#onCount();
  }

  /** Forgets tabs that were closed without a word, as in a crash. */
  async #forgetClosedTabs() {
    const held = await openTabs(this.#world);
    const now = this.#world.performance.now();
    const isClosed = (/** @type {string} */ tab, /** @type {number} */ seen) =>
      !held?.includes(tab) && now - seen > (held ? LOCK_TIMEOUT_MS : TAB_TIMEOUT_MS);
    const closed = [...this.#tabs].filter(([tab, { seen }]) => isClosed(tab, seen)).map(([tab]) => tab);
    if (!closed.length || this.#stopped) return;
    this.#forgetTabs(closed);
    this.#subscribe();
  }

  /** @param {string[]} closed */
  #forgetTabs(closed) {
    for (const tab of closed) this.#tabs.delete(tab);
    const names = [...this.#tabs.values()].map(({ name }) => name);
    if (names.length && !names.includes(this.#name)) this.#name = names[0];
  }

  /** Subscribes to the rooms open in tabs, those with something to send, and those offered or visited lately. */
  #subscribe() {
    const { cursors } = this.#stream;
    const tabs = [...this.#tabs.values()].sort((one, other) => +one.hidden - +other.hidden); // what is seen goes first
    const open = tabs.map(({ room }) => room);
    const sending = this.#outbox.items.map(({ room }) => room);
    const wanted = new Set([...open, ...sending, ...tabs.flatMap(({ rooms }) => rooms ?? [])]);
    this.#forgetRooms(wanted);
    const all = fitting([...wanted], open, this.#name);
    const bare = tabs.filter(({ cursor }) => cursor === '').map(({ room }) => room); // came while the store was lost
    for (const room of all) if (!cursors[room] || bare.includes(room)) this.#findCursor(room, open.includes(room));
    // Chromium may keep a stream that is closed at once for another 5 s, in which the room counts its reader twice.
    const wait = this.#lookups && this.#cursorsDue - this.#world.performance.now();
    if (wait > 0) {
      this.#schedule('cursors', wait, () => this.#subscribe());
      return;
    }
    const known = all.filter((room) => cursors[room]).sort();
    const rooms = known.length ? known : open.slice(0, 1);
    const present = rooms.filter((room) => open.includes(room));
    const subscription = JSON.stringify([rooms, present, this.#name]);
    if (!rooms.length || subscription === this.#subscription) return;
    this.#subscription = subscription;
    this.#stream.subscribe(rooms, present, this.#name);
  }

  /** Forgets the rooms that the user has left. @param {Set<string>} wanted */
  #forgetRooms(wanted) {
    const { rooms } = this.#unread;
    const left = Object.keys(rooms).filter((room) => !wanted.has(room));
    for (const room of left) {
      delete rooms[room];
      delete this.#stream.cursors[room];
    }
    if (left.length) this.#onCount();
  }

  /**
   * Asks for the cursor of a room that has none. An open room gets its latest messages; in one that was read before, the
   * messages since are counted.
   * @param {string} room
   * @param {boolean} open
   */
  async #findCursor(room, open) {
    const { read, ids } = this.#unread.rooms[room] ?? {};
    const counted = ids?.at(-1) ?? read; // up to here
    const task = `cursor ${room}`;
    if (this.#tasks[task]) return;
    this.#schedule(task, 5000, () => this.#subscribe());
    if (!this.#lookups) this.#cursorsDue = this.#world.performance.now() + CURSORS_WAIT_MS;
    this.#lookups += 1;
    const { messages = [], last } =
      counted && !open
        ? await (await load('lookups')).fetchAllAfter(this.#world, room, counted)
        : await fetchHistory(this.#world, room, { limit: open ? 50 : 1 });
    this.#lookups -= 1;
    if (this.#stopped) return;
    if (!last) return this.#subscribe();
    const latest = messages.map((message) => ({ ...message, mine: this.#isOwn(room, message.id, message.mark) }));
    if (counted) for (const message of latest) this.#count(room, message);
    this.#stream.cursors[room] ??= last;
    if (open) this.#broadcast({ event: 'latest', room, messages: latest, last });
    this.#subscribe();
  }

  /**
   * Broadcasts a state of the connection and, when it is live again, sends what is pending.
   * @param {ConnectionState} state
   */
  onState(state) {
    const back = state.state === 'live' && this.#state.state !== 'live';
    this.#state = state;
    this.#broadcastState();
    if (back) this.#outbox.onConnected();
  }

  #broadcastState() {
    const { until, ...state } = this.#state;
    const wait = until && Math.max(0, until - this.#world.performance.now());
    this.#broadcast({ event: 'state', ...state, wait });
  }

  /** Returns true if messages for a room may be sent now. @param {string} room */
  canSend(room) {
    return this.#stream.live && this.#stream.rooms.includes(room) && !!this.cursor(room);
  }

  /** Returns up to where a room's log was read. @param {string} room */
  cursor(room) {
    return this.#stream.cursors[room];
  }

  /** Marks a message as sent from this browser, once the server has stored it. @param {string} room @param {string} id */
  onStored(room, id) {
    this.#addOwn(room, id);
    this.onCursor(room);
  }

  /** Broadcasts the outbox after a change. */
  onOutbox() {
    this.#schedule('items', 0, () => this.#broadcast({ event: 'outbox', items: this.#outbox.shown }));
  }

  /**
   * Handles an event of the stream.
   * @param {string} type
   * @param {string} room
   * @param {any} data
   * @param {Step} [step]
   */
  onEvent(type, room, data, step) {
    if (type === 'message') this.#onMessage(room, data, step);
    if (type === 'delete') {
      const deletion = data.all ? { upTo: this.#stream.cursors[room] } : { id: data.id };
      this.#broadcast({ event: 'deletion', room, deletion });
      this.#outbox.forget(room, deletion);
      this.#unread.forget(room, deletion);
      this.#onCount();
    }
    if (type === 'edit') this.#onEdit(room, { id: data.id, ...decodeMessage(data.sender, data.message) });
    if (type === 'gap') {
      this.#outbox.onGap(room);
      this.#broadcast({ event: 'gap', room, gap: data, cursor: this.#stream.cursors[room] });
    }
    if (type === 'presence') {
      /** @type {HubEvent} */
      const event = { event: type, room, presence: { ...data, names: data.names?.map(decode) } };
      this.#presence.set(room, event);
      this.#broadcast(event);
    }
  }

  /** @param {string} room @param {Edit} edit */
  async #onEdit(room, edit) {
    this.#broadcast({ event: 'edit', room, edit });
    const [{ countEdited }, mention] = await Promise.all([load('edits'), this.#isMention(edit.text)]);
    countEdited(this.#unread.rooms[room], edit.id, mention);
    this.#onCount();
  }

  /** @param {string} room @param {string} data @param {Step} [step] */
  #onMessage(room, data, step) {
    const id = step?.id ?? null;
    const parsed = parseMessage(data);
    const confirms = id ? this.#outbox.confirm(room, { id, key: parseObject(data).key, ...parsed })?.key : undefined;
    if (confirms) this.#addOwn(room, /** @type {string} */ (id));
    const message = { id, mine: this.#isOwn(room, id, parsed.mark), ...parsed };
    this.#broadcast({ event: 'message', room, previous: step?.previous, confirms, ...message });
    if (!id) return;
    this.#count(room, /** @type {HistoryMessage & { mine: boolean }} */ (message));
    this.onCursor(room);
  }

  /** Goes on where a cursor, or something that waits for it, has changed. @param {string} room @param {Step} [step] */
  onCursor(room, step) {
    const cursor = this.#stream.cursors[room];
    if (step) this.#broadcast({ event: 'cursor', room, ...step });
    this.#outbox.confirmUpTo(room, cursor);
    this.#schedule('save', 1000, () => this.#save());
  }

  /** @param {string} room @param {HistoryMessage & { mine: boolean }} message */
  async #count(room, { id, mine, text, sender }) {
    if (mine || isMuted(this.#storage, sender) || !this.#unread.count(room, id)) return;
    this.#onCount();
    const shown = [...this.#tabs.values()].some((tab) => tab.room === room && !tab.hidden);
    const replayed = this.#stream.replays;
    const mention = await this.#isMention(text);
    if (mention) this.#unread.markMention(room, id);
    this.#onCount();
    if (shown || !noticesOf(this.#storage, room)) return;
    load('notifications').then(({ notify }) => notify({ room, id, sender, text, mention, replayed }));
  }

  /** Resolves to true if a text mentions the user by the name of one of the tabs, as the log marks it. @param {string} text */
  async #isMention(text) {
    const names = new Set([this.#name, ...[...this.#tabs.values()].map(({ name }) => name)]);
    const near = [...names].filter((name) => mayMention(text, name));
    if (!near.length) return false;
    const { isMention } = await load('mentions');
    return (await Promise.all(near.map((name) => isMention(text, name)))).includes(true);
  }

  #onCount() {
    this.#schedule('counts', 100, () => this.#broadcast({ event: 'unread', counts: this.#unread.list() }));
    this.#schedule('save', 1000, () => this.#save());
  }

  /** Remembers that a message was sent from this browser. @param {string} room @param {string} id */
  #addOwn(room, id) {
    if (this.#isOwn(room, id)) return;
    this.#storage.set(`mine:${room}`, [...this.#ownIds(room), id].slice(-MAX_OWN_IDS).join(' '));
    this.#broadcast({ event: 'own', room, id });
  }

  /** @param {string} room @param {string | null} id @param {string} [mark] */
  #isOwn(room, id, mark) {
    return this.#ownIds(room).includes(/** @type {string} */ (id)) || (!!mark && mark === this.#storage.get('mark'));
  }

  /** @param {string} room */
  #ownIds(room) {
    return this.#storage.get(`mine:${room}`).split(' ');
  }

  #save() {
    const { cursors } = this.#stream;
    this.#storage.set('state', JSON.stringify({ at: Date.now(), cursors, unread: this.#unread.rooms }));
  }

  /**
   * Runs a task in `wait` milliseconds, once for all calls until then.
   * @param {string} task
   * @param {number} wait
   * @param {() => unknown} run
   */
  #schedule(task, wait, run) {
    if (this.#tasks[task]) return;
    const due = () => {
      delete this.#tasks[task];
      if (!this.#stopped) run();
    };
    this.#tasks[task] = wait ? setTimeout(due, wait) : true;
    if (!wait) queueMicrotask(due);
  }
}
