/**
 * The status line: what the connection does, in one quiet sentence that names the node; while it is lost, with the seconds
 * to the next attempt, and a button.
 */

const SENTENCES = {
  connecting: () => 'Connecting…',
  live: (node) => `Live on ${node}`,
  storeless: (node) => `${node} has lost its message store; waiting for it…`,
  reconnecting: (node, reason) => (Object.hasOwn(AWAY, reason) ? AWAY[reason](node) : `Lost ${node}; reconnecting…`),
  offline: (node) => `Offline: ${node} cannot be reached. What you send will go out when it can.`,
};

/** Why the server sent the page away, by the reason it gave. */
const AWAY = {
  full: (node) => `${node} is full; trying again soon…`,
  draining: (node) => `${node} is closing; moving on…`,
  slow: () => 'Fell behind; catching up…',
};

export function sentence(state, node, reason) {
  return SENTENCES[state](node, reason);
}

export class Status {
  #line;
  #node;
  #says = document.createElement('span');
  #left = document.createElement('span');
  #again = document.createElement('button');
  #timer;

  constructor(line, reconnect) {
    this.#line = line;
    this.#node = line.dataset.node;
    this.#left.className = 'left';
    this.#left.ariaHidden = 'true'; // or every second would be read out
    this.#again.type = 'button';
    this.#again.textContent = 'Reconnect now';
    this.#again.onclick = reconnect;
  }

  /** The element is a live region: it is touched only when what it says changes. */
  show(state, { node, reason, until }) {
    this.#node = node ?? this.#node;
    const says = sentence(state, this.#node, reason);
    Object.assign(this.#line.dataset, { state, node: this.#node });
    if (this.#says.textContent !== says) this.#says.textContent = says;
    if (!until) this.#line.replaceChildren(this.#says);
    else if (!this.#again.isConnected) this.#line.replaceChildren(this.#says, ' ', this.#left, ' ', this.#again);
    clearInterval(this.#timer);
    const count = () => (this.#left.textContent = until > Date.now() ? `${Math.ceil((until - Date.now()) / 1000)} s` : '…');
    if (until) this.#timer = setInterval(count, 1000);
    count();
  }
}
