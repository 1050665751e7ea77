/**
 * The status line: what the connection does, in one quiet sentence that names the node.
 */

const SENTENCES = {
  connecting: () => 'Connecting…',
  live: (node) => `Live on ${node}`,
  storeless: (node) => `${node} has lost its message store; waiting for it…`,
  reconnecting: (node, reason) => (Object.hasOwn(AWAY, reason) ? AWAY[reason](node) : `Lost ${node}; reconnecting…`),
};

/** Why the server sent the page away, by the reason it gave. */
const AWAY = {
  full: (node) => `${node} is full; trying again soon…`,
  draining: (node) => `${node} is closing; moving on…`,
  slow: () => 'Fell behind; catching up…',
};

export class Status {
  #line;
  #node;

  constructor(line) {
    this.#line = line;
    this.#node = line.dataset.node;
  }

  /** The element is a live region: it is touched only when what it says changes. */
  show(state, { node, reason }) {
    this.#node = node ?? this.#node;
    const sentence = SENTENCES[state](this.#node, reason);
    Object.assign(this.#line.dataset, { state, node: this.#node });
    if (this.#line.textContent !== sentence) this.#line.textContent = sentence;
  }
}
