/**
 * The leader's desk: what one tab does for all. It holds the stream of every room they care for, sends the outbox, counts
 * what is unread, and tells everything to every tab.
 */

import { history } from './history.js';
import { Stream } from './stream.js';
import { START, decode, members, newer, spoken } from './text.js';
import { Unread, mentions } from './unread.js';

const MOST = 16; // rooms on one stream
const MINE = 200; // ids remembered of each room
const FRESH = 3_600_000; // milliseconds; from older places too much would be replayed
const OLD = 60_000; // milliseconds after which a message is no news
const SILENT = 180_000; // milliseconds until a tab counts as gone; a hidden one speaks once a minute

export class Desk {
  #world;
  #memory;
  #tell;
  #tabs = new Map();
  #stream;
  #outbox;
  #unread;
  #name = '';
  #presence = new Map();
  #state = { state: 'connecting' };
  #replay = new Map(); // room: the end of the replay that has to be read before something is sent there
  #timers = {};
  #wanted;
  #stopped = false;

  /** `tell(what)` reaches every tab, this one too. */
  constructor(world, memory, tell) {
    const { at, places, unread } = members(memory.recall('state'));
    this.#world = world;
    this.#memory = memory;
    this.#tell = tell;
    this.#unread = new Unread(unread);
    for (const room in this.#unread.rooms) this.#unread.read(room, memory.recall(`read:${room}`));
    this.#stream = new Stream(world, {
      state: (state, details) => this.#connection({ state, ...details }),
      moved: (room, move) => this.#moved(room, move),
      event: (type, room, data, move) => this.#event(type, room, data, move),
    });
    if (Date.now() - at < FRESH) Object.assign(this.#stream.places, places);
  }

  open() {
    this.#tell({ tell: 'leader' });
  }

  stop() {
    this.#save();
    this.#stopped = true;
    this.#outbox?.stop();
    this.#stream.close();
  }

  /** What a tab asks for. */
  asked({ ask, tab, ...details }) {
    this.#tabs.set(tab, { ...this.#tabs.get(tab), ...details, heard: Date.now() });
    this.#asks[ask]?.(details, tab);
    this.#soon('choose', this.#world.document.hidden ? 0 : 30, () => this.#choose()); // a hidden tab's timers are late
  }

  #asks = {
    hello: ({ room, place, name }) => {
      const { places } = this.#stream;
      if (place && (!places[room] || newer(places[room], place))) {
        places[room] = place;
        this.#wanted = ''; // read again from there
      }
      this.#unread.read(room, this.#memory.recall(`read:${room}`)); // before its tab could say so
      this.#name ||= name;
      this.#tell({ tell: 'state', ...this.#state });
      for (const presence of this.#presence.values()) this.#tell(presence);
      this.#changed();
      this.#counted();
    },
    // A frozen tab may still answer messages while its timers and its stream stand still; then another has to lead.
    ping: () => this.#stream.overdue || this.#tell({ tell: 'pong' }),
    bye: (details, tab) => this.#tabs.delete(tab),
    put: async ({ item }) => (await this.#sender())?.add(item),
    retry: async ({ key }) => (await this.#sender())?.retry(key),
    discard: ({ key }) => this.#outbox?.remove(key),
    read: ({ room, id }) => {
      this.#unread.read(room, id);
      this.#counted();
    },
    rename: ({ name }) => {
      this.#name = name;
      clearTimeout(this.#timers.choose);
      delete this.#timers.choose;
      this.#soon('choose', 1500, () => this.#choose());
    },
    reconnect: () => this.#stream.connect(),
    wake: () => this.#stream.wake(),
    lose: () => this.#stream.lose(),
  };

  /** The rooms to read: those open in tabs, those with something to send, those offered or visited lately. */
  #choose() {
    for (const [tab, { heard }] of this.#tabs) if (Date.now() - heard > SILENT) this.#tabs.delete(tab);
    const { places } = this.#stream;
    const tabs = [...this.#tabs.values()];
    const open = tabs.map(({ room }) => room);
    const sending = this.#outbox?.items.map(({ room }) => room) ?? [];
    const all = [...new Set([...open, ...sending, ...tabs.flatMap((tab) => tab.rooms ?? [])])].slice(0, MOST);
    const bare = tabs.filter(({ place }) => place === '').map(({ room }) => room); // came while the store was lost
    for (const room of all) if (!places[room] || bare.includes(room)) this.#place(room, open.includes(room));
    const placed = all.filter((room) => places[room]).sort();
    const rooms = placed.length ? placed : open.slice(0, 1);
    const present = rooms.filter((room) => open.includes(room));
    const wanted = JSON.stringify([rooms, present, this.#name]);
    if (!rooms.length || wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#stream.change(rooms, present, this.#name);
  }

  /** A room without a place gets one: with its latest messages if it is open, counting them if it was read before. */
  async #place(room, open) {
    const { read } = this.#unread.rooms[room] ?? {};
    const task = `place ${room}`;
    if (this.#timers[task]) return;
    this.#soon(task, 5000, () => this.#choose());
    const { messages, last } = await history(this.#world, room, { limit: open ? 50 : read ? 100 : 1 });
    if (!last || this.#stopped) return;
    const all = messages.map((message) => ({ ...message, mine: this.#isMine(room, message.id) }));
    if (read) for (const message of all) this.#count(room, message);
    this.#stream.places[room] ??= last;
    if (open) this.#tell({ tell: 'messages', room, messages: all, last });
    this.#choose();
  }

  /** After a loss nothing goes out before the replay was read: what is pending may be in it. */
  async #connection(state) {
    const back = state.state === 'live' && this.#state.state !== 'live';
    this.#state = state;
    this.#tell({ tell: 'state', ...state });
    if (!back) return;
    const items = this.#memory.all('out:');
    for (const { room } of items) this.#catchUp(room);
    if (items.length) await this.#sender();
    else this.#soon('sender', 1000, () => this.#sender()); // it has to be here when the server is not
    this.#outbox?.pump();
  }

  async #catchUp(room) {
    if (this.#replay.has(room)) return;
    this.#replay.set(room, '');
    this.#soon(`replay ${room}`, 3000, () => this.#caughtUp(room)); // its last message may be deleted
    const { last } = await history(this.#world, room, { limit: 1 });
    if (this.#replay.has(room)) this.#replay.set(room, last);
    this.#moved(room);
  }

  #caughtUp(room) {
    this.#replay.delete(room);
    this.#outbox?.pump();
  }

  /** The outbox, which no tab needs before something is sent. */
  async #sender() {
    const { Outbox } = await import('./outbox.js').catch(() => ({})); // offline; the next connection tries again
    if (!Outbox) return null;
    this.#outbox ??= new Outbox(this.#world, this.#memory, {
      clear: (room) => this.#stream.live && this.#stream.rooms.includes(room) && !this.#replay.has(room),
      changed: () => this.#changed(),
      stored: (room, id) => {
        this.#own(room, id);
        this.#moved(room);
      },
    });
    if (this.#stopped) this.#outbox.stop();
    return this.#outbox;
  }

  #changed() {
    this.#soon('outbox', 0, () => this.#outbox && this.#tell({ tell: 'outbox', items: this.#outbox.items }));
  }

  #event(type, room, data, move) {
    if (type === 'message') this.#message(room, data, move);
    if (type === 'gap') {
      this.#outbox?.gap(room);
      this.#tell({ tell: 'gap', room, gap: data });
      this.#caughtUp(room);
    }
    if (type === 'presence') {
      const presence = { tell: type, room, data: { ...data, names: data.names?.map(decode) } };
      this.#presence.set(room, presence);
      this.#tell(presence);
    }
    if (type === 'userJoined' || type === 'userLeft') {
      this.#tell({ tell: type === 'userJoined' ? 'joined' : 'left', room, data: decode(`${data.username}`) });
    }
  }

  #message(room, data, { id = null, after } = {}) {
    const { key } = members(data);
    const settles = id && this.#outbox?.settle(room, key, id)?.key;
    if (settles) this.#own(room, id);
    const message = { id, key, mine: this.#isMine(room, id), ...spoken(data) };
    this.#tell({ tell: 'message', room, after, settles, ...message });
    if (!id) return;
    this.#count(room, message);
    this.#moved(room);
  }

  /** The place of `room` changed, or what waits for it did. */
  #moved(room, move) {
    const place = this.#stream.places[room];
    if (move) this.#tell({ tell: 'moved', room, ...move });
    this.#outbox?.passed(room, place);
    const end = this.#replay.get(room);
    if (end && !newer(end, place)) this.#caughtUp(room);
    this.#soon('save', 1000, () => this.#save());
  }

  #count(room, { id, mine, text, sender }) {
    if (mine) return;
    const mention = mentions(text, this.#name);
    const shown = [...this.#tabs.values()].some((tab) => tab.room === room && !tab.hidden);
    const fresh = this.#unread.heard(room, id, mention);
    const old = Date.now() - parseInt(id, 10) > OLD;
    if (fresh && !shown && !old && this.#memory.recall('notify')) {
      import('./notice.js').then(({ notify }) => notify({ room, sender, text, mention }));
    }
    this.#counted();
  }

  #counted() {
    this.#soon('counts', 100, () => this.#tell({ tell: 'rooms', rooms: this.#unread.list() }));
    this.#soon('save', 1000, () => this.#save());
  }

  #own(room, id) {
    if (this.#isMine(room, id)) return;
    this.#memory.remember(`mine:${room}`, [...this.#mine(room), id].slice(-MINE).join(' '));
    this.#tell({ tell: 'mine', room, data: id });
  }

  #isMine(room, id) {
    return this.#mine(room).includes(id);
  }

  #mine(room) {
    return this.#memory.recall(`mine:${room}`).split(' ');
  }

  #save() {
    const { places } = this.#stream;
    this.#memory.remember('state', JSON.stringify({ at: Date.now(), places, unread: this.#unread.rooms }));
  }

  /** Once for all who ask within `wait` milliseconds. */
  #soon(what, wait, act) {
    if (this.#timers[what]) return;
    const due = () => {
      delete this.#timers[what];
      if (!this.#stopped) act();
    };
    this.#timers[what] = wait ? setTimeout(due, wait) : true;
    if (!wait) queueMicrotask(due);
  }
}
