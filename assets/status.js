/**
 * The status line: the state of the connection in one sentence that names the node; while it is lost, the seconds to the
 * next attempt and a button.
 */

import { button, element } from './dom.js';

/** @import { ConnectionState } from './stream.js' */

/**
 * By the state or, while the page reconnects, by the reason with which the server ended the stream.
 * @type {Record<string, (node?: string) => string>}
 */
const SENTENCES = {
  connecting: () => 'Connecting…',
  live: (node) => `Live on ${node}`,
  storeless: (node) => `${node} has lost its message store; waiting for it…`,
  reconnecting: (node) => `Lost ${node}; reconnecting…`,
  offline: (node) => `Offline: ${node} cannot be reached. Messages will be sent when it can be.`,
  full: (node) => `${node} is full; trying again soon…`,
  slow: () => 'Fell behind; catching up…',
};

/**
 * Returns the sentence for a state.
 * @param {ConnectionState['state']} state
 * @param {string} [node]
 * @param {string} [reason]
 */
export function sentence(state, node, reason = '') {
  return SENTENCES[state === 'reconnecting' && Object.hasOwn(SENTENCES, reason) ? reason : state](node);
}

export class StatusLine {
  #line;
  #node;
  #sentence = element('span');
  #text = ''; // of the sentence
  #countdown = element('span', 'left');
  #button;
  /** @type {number | undefined} */
  #timer;

  /** @param {HTMLElement} line @param {() => void} reconnect */
  constructor(line, reconnect) {
    this.#line = line;
    this.#node = line.dataset.node;
    this.#countdown.ariaHidden = 'true'; // or every second would be read out
    this.#button = button('Reconnect now', reconnect);
  }

  /** @param {ConnectionState} state */
  show({ state, node, reason, until }) {
    clearInterval(this.#timer);
    if (reason === 'draining') {
      // Another node takes over within a second: nothing is said unless that fails.
      this.#timer = setTimeout(() => this.show({ state, until }), 1000);
      return;
    }
    this.#node = node ?? this.#node;
    const text = sentence(state, this.#node, reason);
    Object.assign(this.#line.dataset, { state, node: this.#node });
    // The element is a live region: it is touched only when its text changes.
    if (this.#text !== text) this.#sentence.textContent = this.#text = text;
    if (!until) return this.#line.replaceChildren(this.#sentence);
    if (!this.#button.isConnected) this.#line.replaceChildren(this.#sentence, ' ', this.#countdown, ' ', this.#button);
    const count = () => {
      const left = until - performance.now();
      this.#countdown.textContent = left > 0 ? `${Math.ceil(left / 1000)} s` : '…';
    };
    this.#timer = setInterval(count, 1000);
    count();
  }
}
