/**
 * The connection: one EventSource at a time for all rooms of this browser, and the cursors that outlive it.
 *
 * Left to itself a browser does not reconnect after a status other than 200, does not notice a stream that went silent,
 * and does not say when it will try again. So a source that fails is closed, and the next one is opened here.
 */

import { START, parseObject } from './wire.js';

const TYPES = 'message typed delete edit gap status backoff heartbeat presence userJoined userLeft'.split(' ');
const VALID_NAME = /^(?=.*\S)(?:[^\p{Cc}\p{Cf}]|[\u200c\u200d]){1,64}$/u; // the server refuses a stream with any other
const OPEN_TIMEOUT_S = 20; // until the first event of a stream
const SLACK_S = 5; // for the network, on top of the server's interval
const REPLAY_MS = 10_000; // after an opening, in which what arrives may be old
const MAX_ROOMS = 16; // on one stream
const MAX_ADDRESS_CHARS = 3900; // proxies refuse request lines of 4 or 8 KB
const LONGEST_ID = '0'.repeat(24);

/**
 * What the status line shows.
 * @typedef {object} ConnectionState
 * @property {'connecting' | 'live' | 'storeless' | 'reconnecting' | 'offline'} state
 * @property {string} [node]
 * @property {string} [reason] why the server ended the stream: `full`, `draining` or `slow`
 * @property {number} [until] when the next attempt is due, on the clock of `performance`, which does not jump
 * @property {number} [wait] the same in milliseconds from now, for other tabs
 */

/** @typedef {Record<string, string>} Cursors by room */

/** @typedef {{ id: string, previous?: string }} Step from one cursor to the next */

/**
 * @typedef {object} StreamHooks
 * @property {(state: ConnectionState) => void} onState
 * @property {(room: string, step: Step) => void} onCursor a cursor moved without a message
 * @property {(type: string, room: string, data: any, step?: Step) => void} onEvent `data` is text if the type is `message`,
 *   an object otherwise; a foreign publish moves no cursor
 */

/**
 * Returns the seconds to wait before an attempt: anything from 1 to 5, to 10, to 20, and then to 30.
 * @param {number} attempt from 0
 */
export function backoff(attempt, random = Math.random()) {
  return 1 + random * (Math.min(30, 5 * 2 ** attempt) - 1);
}

/**
 * Returns the address of a stream.
 * @param {string[]} rooms
 * @param {string[]} cursors of the rooms
 * @param {string[]} present those of the rooms in which the user counts as present
 * @param {string} name of the user
 */
function addressOf(rooms, cursors, present, name) {
  const query = new URLSearchParams('typed=brief'); // a browser would hide events of unknown names
  if (cursors.every(Boolean)) query.set('lastEventId', `${cursors}`);
  if (VALID_NAME.test(name)) query.set('name', name);
  if (present.length < rooms.length) query.set('in', `${present}`);
  return `/subscribe/${rooms.map(encodeURIComponent)}?${query}`;
}

/**
 * Returns those of `rooms` that fit on one stream and into its address, the first ones before others.
 * @param {string[]} rooms
 * @param {string[]} open those in which the user counts as present
 * @param {string} name of the user
 */
export function fitting(rooms, open, name) {
  /** @type {string[]} */
  let fit = [];
  for (const room of rooms) {
    const more = [...fit, room];
    const present = more.filter((each) => open.includes(each));
    const cursors = more.map(() => LONGEST_ID);
    if (more.length <= MAX_ROOMS && addressOf(more, cursors, present, name).length <= MAX_ADDRESS_CHARS) fit = more;
  }
  return fit;
}

export class Stream {
  /** @type {string[]} */
  rooms = [];
  /** @type {Cursors} */
  cursors = Object.create(null); // a room may be called `constructor`
  live = false;
  /** @type {string[]} */
  #present = [];
  #name = '';
  #world;
  #hooks;
  /** @type {EventSource | null | undefined} */
  #source;
  /** @type {number | undefined} */
  #timer;
  #deadline = { passed: 0, date: 0 }; // for the next event, by two clocks: one jumps, and one stands still in sleep
  #openedAt = Infinity; // when the stream was last said to be live, on the clock of `performance`
  #silence = 45; // seconds without an event after which the stream counts as lost
  #attempt = 0;
  #waiting = false; // for the next attempt

  /**
   * @param {Window & typeof globalThis} world
   * @param {StreamHooks} hooks
   */
  constructor(world, hooks) {
    this.#world = world;
    this.#hooks = hooks;
  }

  /**
   * Reads other rooms from now on, each from its cursor. A wait after a failure is not cut short.
   * @param {string[]} rooms
   * @param {string[]} present those in which the user counts as present
   * @param {string} name of the user
   */
  subscribe(rooms, present, name) {
    this.rooms = rooms;
    this.#present = present;
    this.#name = name;
    if (!this.#waiting) this.connect();
  }

  /** Reconnects a lost or overdue stream without further delay: the page or the network woke up. */
  wake() {
    if (this.#waiting || this.#isLate) this.connect();
  }

  /** Whether the stream has been silent for longer than its timer allows, which means that this tab's timers do not run. */
  get overdue() {
    return this.#source && this.#isLate;
  }

  get #isLate() {
    return this.#world.performance.now() > this.#deadline.passed || Date.now() > this.#deadline.date;
  }

  /** Whether what arrives now may be a replay of what is old. */
  get replays() {
    return this.#world.performance.now() - this.#openedAt < REPLAY_MS;
  }

  connect() {
    this.close();
    this.#waiting = false;
    const source = new this.#world.EventSource(addressOf(this.rooms, this.rooms.map((room) => this.cursors[room]), this.#present, this.#name));
    this.#source = source;
    for (const type of TYPES) source.addEventListener(type, (event) => this.#receive(type, event));
    source.onerror = () => this.reconnectLater();
    this.#expectEvent(OPEN_TIMEOUT_S);
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /**
   * Closes a stream that failed, or that the server ended for a reason, and schedules the next one.
   * @param {string} [reason]
   */
  reconnectLater(reason) {
    if (this.#waiting) return;
    this.close();
    this.#waiting = true;
    this.live = false;
    const random = Math.random();
    // As the server draws `retry`, which an EventSource does not show.
    const wait =
      (reason === 'draining' ? 100 : 1000) * (reason === 'full' ? 5 + random * 25 : backoff(reason ? 0 : this.#attempt, random));
    const offline = this.#world.navigator?.onLine === false || this.#attempt > 0;
    if (!reason) this.#attempt += 1;
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#hooks.onState({ state: offline && !reason ? 'offline' : 'reconnecting', reason, until: this.#world.performance.now() + wait });
  }

  /** @param {string} type @param {MessageEvent} event */
  #receive(type, event) {
    const data = parseObject(event.data);
    const steps = advance(this.cursors, this.rooms, event.lastEventId); // any event may carry ids
    // What is no JSON object names no room.
    const room = this.rooms[1] ? (data.room ?? Object.keys(steps)[0]) : this.rooms[0];
    for (const name in steps) {
      if (name !== room || (type !== 'message' && type !== 'gap')) this.#hooks.onCursor(name, steps[name]);
    }
    if (type === 'backoff') return this.reconnectLater(data.reason ?? 'slow');
    if (type === 'status') this.#readStatus(data);
    this.#expectEvent(this.#silence);
    if (type === 'gap' && !steps[room]) this.cursors[room] = START; // of several, only the last has their ids
    if (room) this.#hooks.onEvent(type, room, type === 'message' ? event.data : data, steps[room]);
  }

  /** @param {{ live?: boolean, node?: string, heartbeat?: any }} status */
  #readStatus({ live, node, heartbeat }) {
    this.#attempt = 0;
    if (heartbeat > 0) this.#silence = 2.5 * heartbeat + SLACK_S;
    if (live !== false && !this.live) this.#openedAt = this.#world.performance.now();
    this.live = live !== false;
    this.#hooks.onState({ state: this.live ? 'live' : 'storeless', node });
  }

  /** @param {number} seconds after which the stream counts as lost, unless an event arrives */
  #expectEvent(seconds) {
    clearTimeout(this.#timer);
    this.#deadline = { passed: this.#world.performance.now() + seconds * 1000, date: Date.now() + seconds * 1000 };
    this.#timer = setTimeout(() => this.reconnectLater(), seconds * 1000);
  }
}

/**
 * Moves the cursors of `rooms` to the ids of an event, one for each room, and returns the steps by room. A list of another
 * length moves nothing.
 * @param {Cursors} cursors
 * @param {string[]} rooms
 * @param {string} list ids separated by commas; one that is not known is empty
 */
export function advance(cursors, rooms, list) {
  const ids = list.split(',');
  /** @type {Record<string, Step>} */
  const steps = {};
  if (ids.length !== rooms.length) return steps;
  rooms.forEach((room, index) => {
    const [id, previous] = [ids[index], cursors[room]];
    if (!id || id === previous) return;
    cursors[room] = id;
    steps[room] = { id, previous };
  });
  return steps;
}
