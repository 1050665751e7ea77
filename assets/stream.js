/**
 * The connection: one EventSource at a time for all rooms of this browser, and the places that outlive it.
 *
 * Left to itself a browser does not reconnect after an answer other than 200, does not notice a stream that went silent,
 * and does not say when it will try again. So a source that fails is closed, and the next one built here.
 */

import { START, members } from './text.js';

const TYPES = ['message', 'gap', 'status', 'backoff', 'heartbeat', 'presence', 'userJoined', 'userLeft'];
const NAME = /^(?=.*\S)(?:[^\p{Cc}\p{Cf}]|[\u200c\u200d]){1,64}$/u; // with another there would be no stream
const OPENING = 20; // seconds for the first word of a stream
const SLACK = 5; // seconds allowed to the network on top of any wait

/** Seconds before attempt number `attempt` (from 0): anywhere from 1 to 5, to 10, to 20, and then to 30. */
export function backOff(attempt, random = Math.random()) {
  return 1 + random * (Math.min(30, 5 * 2 ** attempt) - 1);
}

export class Stream {
  rooms = [];
  places = Object.create(null); // a room may be called `constructor`
  present = [];
  name = '';
  live = false;
  #world;
  #listener;
  #source;
  #timer;
  #deadline = 0;
  #silence = 45;
  #attempt = 0;
  #lost = false;

  /**
   * `listener` is told of `state(name, { node, reason, until })`, where the name is live, storeless, reconnecting or
   * offline; of `moved(room, { id, after })`, when a place changed without a message; and of
   * `event(type, room, data, { id, after })`, where the last is undefined for a foreign publish.
   */
  constructor(world, listener) {
    this.#world = world;
    this.#listener = listener;
  }

  /** Reads `rooms` from their `places` from now on, present in some of them under `name`. While it waits after a failure, it goes on waiting. */
  change(rooms, present, name) {
    Object.assign(this, { rooms, present, name });
    if (!this.#lost) this.connect();
  }

  /** The page or the network woke up: waste no time on a lost or overdue stream. */
  wake() {
    if (this.#lost || Date.now() > this.#deadline) this.connect();
  }

  /** Whether the stream has been silent for longer than its timer allows: then this tab's timers do not run. */
  get overdue() {
    return Boolean(this.#source) && Date.now() > this.#deadline;
  }

  connect() {
    this.close();
    this.#lost = false;
    const source = new this.#world.EventSource(this.#address());
    this.#source = source;
    for (const type of TYPES) source.addEventListener(type, (event) => this.#heard(type, event));
    source.onerror = () => this.lose();
    this.#expect(OPENING);
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** The connection failed, or the server sent us away for `reason`. */
  lose(reason) {
    if (this.#lost) return;
    this.close();
    this.#lost = true;
    this.live = false;
    const random = Math.random();
    const wait = 1000 * (reason === 'full' ? 5 + random * 25 : backOff(reason ? 0 : this.#attempt, random));
    const cut = this.#world.navigator?.onLine === false || this.#attempt > 0;
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#listener.state(cut && !reason ? 'offline' : 'reconnecting', { reason, until: Date.now() + wait });
  }

  #address() {
    const query = new URLSearchParams();
    const vector = this.rooms.map((room) => this.places[room]);
    if (vector.every(Boolean)) query.set('lastEventId', vector);
    if (NAME.test(this.name)) query.set('name', this.name);
    if (this.present.length < this.rooms.length) query.set('in', this.present);
    return `/subscribe/${this.rooms.map(encodeURIComponent)}?${query}`;
  }

  /** Every event shows that the stream lives, and tells where the places are. */
  #heard(type, event) {
    const data = members(event.data);
    const room = this.rooms.length > 1 ? data.room : this.rooms[0];
    const moved = move(this.places, this.rooms, event.lastEventId);
    for (const name in moved) {
      if (name !== room || type !== 'message') this.#listener.moved(name, moved[name]);
    }
    if (type === 'backoff') return this.lose(data.reason ?? 'slow');
    if (type === 'status') this.#status(data);
    this.#expect(this.#silence);
    if (type === 'gap') this.places[room] = START;
    if (room) this.#listener.event(type, room, type === 'message' ? event.data : data, moved[room]);
  }

  #status({ live, node, heartbeat }) {
    this.#attempt = 0;
    if (heartbeat > 0) this.#silence = 2.5 * heartbeat + SLACK;
    this.live = live !== false;
    this.#listener.state(this.live ? 'live' : 'storeless', { node });
  }

  #expect(seconds) {
    clearTimeout(this.#timer);
    this.#deadline = Date.now() + seconds * 1000;
    this.#timer = setTimeout(() => this.lose(), seconds * 1000);
  }
}

/** Moves `places` of `rooms` to what an event's `id:` says; returns who moved: `{ room: { id, after } }`. */
export function move(places, rooms, vector) {
  const ids = vector.split(',');
  const moved = {};
  if (ids.length !== rooms.length) return moved;
  rooms.forEach((room, index) => {
    const [id, after] = [ids[index], places[room]];
    if (!id || id === after) return;
    places[room] = id;
    moved[room] = { id, after };
  });
  return moved;
}
