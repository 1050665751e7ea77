/**
 * The connection: one EventSource at a time, and the cursor that outlives it.
 *
 * The browser reconnects by itself after a broken stream, but not after an answer other than 200, and it does not
 * notice a stream that went silent. In both cases a new EventSource is built that resumes from the cursor.
 */

import { members } from './text.js';

const HISTORY = 50; // messages asked for when no cursor is known
const HEARTBEAT = 15; // seconds, until the server says
const LONGEST_RETRY = 30; // seconds; neither the server's `retry:` nor our back-off is longer
const SLACK = 5; // seconds allowed to the network on top of any wait

/** Seconds before attempt number `attempt` (from 0): anywhere from 1 to 5, to 10, to 20, and then to 30. */
export function backOff(attempt, random = Math.random()) {
  const ceiling = Math.min(LONGEST_RETRY, 5 * 2 ** attempt);
  return 1 + random * (ceiling - 1);
}

export class Stream {
  #path;
  #cursor;
  #listener;
  #source;
  #timer;
  #deadline;
  #silence = 2.5 * HEARTBEAT + SLACK;
  #attempt = 0;
  #lost = false;

  /**
   * `listener` is told of `message(data, id)` (the id is null for a foreign publish), of `gap({ asked, reason })` and of
   * `state(name, { node, reason })`, where the name is connecting, live, storeless or reconnecting.
   */
  constructor(path, cursor, listener) {
    this.#path = path;
    this.#cursor = cursor;
    this.#listener = listener;
    listener.state('connecting', {});
    this.#connect();
  }

  /** The page or the network woke up: waste no time on a lost or overdue stream. */
  wake() {
    if (this.#lost || Date.now() > this.#deadline) this.#connect();
  }

  #connect() {
    this.#source?.close();
    this.#source = new EventSource(this.#address());
    this.#source.onopen = () => this.#opened();
    this.#source.onerror = () => this.#failed();
    this.#on('message', (event, id) => this.#listener.message(event.data, id));
    this.#on('gap', (event) => this.#listener.gap(members(event.data)));
    this.#on('status', (event) => this.#status(members(event.data)));
    this.#on('backoff', (event) => this.#lose(members(event.data).reason));
    this.#on('heartbeat', () => {});
    this.#connectAfter(this.#patience());
  }

  #address() {
    const place = this.#cursor ? { lastEventId: this.#cursor } : { history: HISTORY };
    return `${this.#path}?${new URLSearchParams(place)}`;
  }

  /** Every event, of whatever type, shows that the stream lives and tells where the cursor stands. */
  #on(type, react) {
    this.#source.addEventListener(type, (event) => {
      this.#connectAfter(this.#silence);
      react(event, this.#advance(event.lastEventId));
    });
  }

  /** Moves the cursor. Returns the event's own id; null when it had none and repeats the one before it. */
  #advance(id) {
    if (!id || id === this.#cursor) return null;
    this.#cursor = id;
    return id;
  }

  #opened() {
    this.#lost = false;
    this.#connectAfter(this.#silence);
  }

  #status({ live, node, heartbeat }) {
    this.#attempt = 0;
    if (heartbeat > 0) this.#silence = 2.5 * heartbeat + SLACK;
    this.#connectAfter(this.#silence);
    this.#listener.state(live === false ? 'storeless' : 'live', { node });
  }

  #failed() {
    const abandoned = this.#source.readyState === EventSource.CLOSED;
    if (!this.#lost) this.#lose();
    this.#connectAfter(abandoned ? backOff(this.#attempt++) : this.#patience());
  }

  #lose(reason) {
    this.#lost = true;
    this.#listener.state('reconnecting', { reason });
  }

  /** The browser may be waiting as long as the server told it to: give it that before we build anew. */
  #patience() {
    return Math.max(this.#silence, LONGEST_RETRY + SLACK);
  }

  /** The one timer: a watchdog or a back-off, it ends in a new connection unless something is heard first. */
  #connectAfter(seconds) {
    clearTimeout(this.#timer);
    this.#deadline = Date.now() + seconds * 1000;
    this.#timer = setTimeout(() => {
      if (!this.#lost) this.#lose();
      this.#connect();
    }, seconds * 1000);
  }
}
