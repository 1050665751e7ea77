/**
 * Pending lines: a line below the log for each message that is still to be sent, with its state and what can be done.
 */

import { element, find } from './dom.js';

/** @import { MessageLog } from './log.js' */
/** @import { OutboxItem } from './outbox.js' */
/** @import { Message } from './wire.js' */

const QUIET_MS = 1000; // a message that is sent within this time shows no note
const REFRESH_MS = 500;

/**
 * @typedef {object} PendingHooks
 * @property {(key: string) => void} retry
 * @property {(key: string) => void} edit
 * @property {(key: string) => void} discard
 */

/**
 * Returns the note of an item, and the labels of its buttons.
 * @param {Pick<OutboxItem, 'state' | 'reason' | 'until'>} item
 */
export function describe({ state, reason, until }, now = Date.now()) {
  const soon = until ? `in ${Math.max(1, Math.ceil((until - now) / 1000))} s` : 'soon';
  switch (state) {
    case 'failed':
      return { text: `Not sent. ${reason || 'The server did not accept it.'}`, actions: ['Retry', 'Edit', 'Discard'] };
    case 'unsure':
      return { text: 'Messages are missing here, and this may be among them.', actions: ['Send again', 'Edit', 'Discard'] };
    case 'waiting':
      return { text: `A little too fast; goes out ${soon}`, actions: ['Edit', 'Discard'] };
    case 'queued':
      return { text: 'Waits to be sent', actions: ['Edit', 'Discard'] };
    default:
      return { text: 'Sending…', actions: [] };
  }
}

export class PendingLines {
  #log;
  #hooks;
  /** @type {Map<string, HTMLElement>} */
  #lines = new Map(); // by key
  /** @type {number | undefined} */
  #timer;

  /** @param {MessageLog} log @param {PendingHooks} hooks */
  constructor(log, hooks) {
    this.#log = log;
    this.#hooks = hooks;
  }

  /** Shows the items of the outbox. @param {OutboxItem[]} items oldest first */
  show(items) {
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, line] of this.#lines) {
      if (!keys.has(key)) this.#remove(key, line);
    }
    for (const item of items) this.#update(this.#lines.get(item.key) ?? this.#add(item), item);
    clearTimeout(this.#timer);
    const quiet = items.some(({ at }) => Date.now() - at < QUIET_MS);
    if (quiet || items.some(({ until }) => until)) this.#timer = setTimeout(() => this.show(items), REFRESH_MS);
    this.#log.scrollToEnd();
  }

  /** Turns the line of an item into the message. @param {string} key @param {Message} message */
  confirm(key, message) {
    const log = this.#log;
    const line = this.#lines.get(key);
    if (!line) return log.add(message);
    this.#lines.delete(key);
    delete line.dataset.key;
    line.querySelector('.note')?.remove();
    if (document.getElementById(`${message.id}`) || !log.reachesEnd) line.remove();
    else log.insertInOrder(message, line);
    log.scrollToEnd();
  }

  /** @param {OutboxItem} item */
  #add({ key, sender, text, at }) {
    const line = element('div');
    line.dataset.key = key;
    this.#lines.set(key, line);
    this.#log.insert({ sender: sender.trim() || 'Anonymous', text, mine: true, at: new Date(at) }, null, line);
    return line;
  }

  /** @param {string} key @param {HTMLElement} line */
  #remove(key, line) {
    const focused = line.contains(document.activeElement);
    line.remove();
    this.#lines.delete(key);
    if (focused) find('#message').focus();
  }

  /**
   * Updates the note of a line. It is touched only where it changes: the log is read out.
   * @param {HTMLElement} line
   * @param {OutboxItem} item
   */
  #update(line, item) {
    const { text, actions } = describe(item);
    const failed = actions.length > 2;
    line.classList.toggle('failed', failed);
    line.classList.toggle('pending', !failed);
    let note = /** @type {HTMLElement | null} */ (line.querySelector('.note'));
    if (note?.dataset.state !== item.state) {
      note?.remove();
      note = element('div', 'note');
      note.dataset.state = item.state;
      const sentence = element('span', 'says');
      if (failed) sentence.role = 'alert';
      else sentence.ariaLive = 'off';
      note.append(sentence, ...actions.map((action) => this.#button(action, item.key)));
      line.append(note);
    }
    note.hidden = !failed && Date.now() - item.at < QUIET_MS;
    const says = find('.says', note);
    if (says.textContent !== text) says.textContent = text;
  }

  /** @param {string} action @param {string} key */
  #button(action, key) {
    const button = element('button', '', action);
    button.type = 'button';
    button.onclick = () => {
      if (action === 'Edit') this.#hooks.edit(key);
      else if (action === 'Discard') this.#hooks.discard(key);
      else this.#hooks.retry(key);
    };
    return button;
  }
}
