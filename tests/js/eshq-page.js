/**
 * A fake page that runs a script of assets/eshq/: it records the requests and streams that the script opens, and the test
 * answers them. Time is that of clock.js.
 */

import { readFileSync } from 'node:fs';

export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSED = 2;

export class FakePage {
  /** The requests and the streams so far, oldest first. */
  requests = [];
  streams = [];
  warnings = [];
  /** What was posted to the page's parent. */
  told = [];
  #listeners = {};

  constructor({ src = 'https://hub.example/es.js', scripts = [], search = '', window = {} } = {}) {
    const page = this;
    this.parent = { postMessage: (text, target) => this.told.push({ ...JSON.parse(text), target }) };
    this.location = { search };
    this.document = { currentScript: src && { src }, getElementsByTagName: () => scripts };
    this.console = { warn: (text) => this.warnings.push(text) };
    this.window = Object.assign(window, {
      console: this.console,
      addEventListener: (type, react) => (this.#listeners[type] ??= new Set()).add(react),
      removeEventListener: (type, react) => this.#listeners[type]?.delete(react),
    });
    this.XMLHttpRequest = class extends FakeRequest {
      constructor() {
        super();
        page.requests.push(this);
      }
    };
    this.EventSource = class extends FakeStream {
      constructor(url) {
        super(url);
        page.streams.push(this);
      }
    };
  }

  /** Runs a file of assets/eshq/ as a classic script of the page. */
  run(file) {
    const world = ['window', 'document', 'location', 'parent', 'console', 'XMLHttpRequest', 'EventSource'];
    const text = readFileSync(new URL(`../../assets/eshq/${file}`, import.meta.url), 'utf8');
    const script = new Function(...world, 'addEventListener', text);
    script(...world.map((name) => this[name]), this.window.addEventListener);
    return this;
  }

  fire(type, event = {}) {
    for (const react of this.#listeners[type] ?? []) react(event);
  }

  get request() {
    return this.requests.at(-1);
  }

  get stream() {
    return this.streams.at(-1);
  }

  get openStreams() {
    return this.streams.filter((stream) => stream.readyState !== CLOSED);
  }
}

class FakeRequest {
  readyState = 0;
  status = 0;
  responseText = '';
  withCredentials = false;
  headers = {};

  open(method, url) {
    Object.assign(this, { method, url, readyState: 1 });
  }

  setRequestHeader(name, value) {
    this.headers[name] = value;
  }

  send(body) {
    this.body = body;
  }

  abort() {
    this.aborted = true;
    if (this.readyState !== 4) this.answer(0, '');
  }

  answer(status, body = '') {
    const responseText = typeof body === 'string' ? body : JSON.stringify(body);
    Object.assign(this, { status, responseText, readyState: 4 });
    this.onreadystatechange?.();
  }
}

class FakeStream {
  readyState = CONNECTING;
  lastId = '';
  #listeners = new Map();

  constructor(url) {
    this.url = url;
  }

  get query() {
    return Object.fromEntries(new URL(this.url, 'https://hub.example').searchParams);
  }

  addEventListener(type, react) {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(react));
  }

  close() {
    this.readyState = CLOSED;
  }

  #emit(event) {
    for (const react of this.#listeners.get(event.type) ?? []) react(event);
  }

  opens() {
    this.readyState = OPEN;
    this.#emit({ type: 'open' });
  }

  /** Receives an event, which arrives even where the stream was closed: a browser may have it in its queue. */
  receives(type, data, id = this.lastId) {
    this.lastId = id;
    this.#emit({ type, data, lastEventId: id });
  }

  /** Is cut, after which a browser connects again by itself. */
  isCut() {
    this.readyState = CONNECTING;
    this.#emit({ type: 'error' });
  }

  /** Fails for good, as after a 404. */
  dies() {
    this.readyState = CLOSED;
    this.#emit({ type: 'error' });
  }
}
