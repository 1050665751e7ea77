/**
 * Pending lines: a line below the log for each message that is still to be sent, with its state and what can be done. What
 * only waits is summed up in one sentence above the message box, which shows the rest on demand.
 */

import { button, element, find } from './dom.js';

/** @import { MessageLog } from './log.js' */
/** @import { OutboxItem } from './outbox.js' */
/** @import { Message } from './wire.js' */

const QUIET_MS = 1000; // a message that is sent within this time is not spoken of
const REFRESH_MS = 500;

/**
 * @typedef {object} PendingHooks
 * @property {(key: string) => void} retry
 * @property {(key: string) => void} edit
 * @property {(key: string) => void} discard
 */

/**
 * A line, as it is shown.
 * @typedef {object} PendingLine
 * @property {HTMLElement} line
 * @property {number} at when it was added, on the clock of `performance`, which does not jump
 * @property {string} sender
 * @property {HTMLElement} [note]
 * @property {HTMLElement} [sentence] in the note
 * @property {string} [state] that the note is about
 * @property {string} [text] of the sentence
 */

/** Returns how long until a time on the clock of `performance`. @param {number | undefined} until @param {number} now */
const soon = (until, now) => (until ? `in ${Math.max(1, Math.ceil((until - now) / 1000))} s` : 'soon');

/**
 * Returns the note of an item, and the labels of its buttons.
 * @param {Pick<OutboxItem, 'state' | 'reason' | 'until'>} item
 */
export function describe({ state, reason, until }, now = performance.now()) {
  switch (state) {
    case 'failed':
      return { text: `Not sent. ${reason || 'The server did not accept it.'}`, actions: ['Retry', 'Edit', 'Discard'] };
    case 'unsure':
      return { text: `Not sure it was sent${reason ? `: ${reason}` : ''}.`, actions: ['Send again', 'Edit', 'Discard'] };
    case 'waiting':
      return { text: `A little too fast; goes out ${soon(until, now)}`, actions: ['Edit', 'Discard'] };
    case 'queued':
      return { text: 'Waits to be sent', actions: ['Edit', 'Discard'] };
    default:
      return { text: 'Sending…', actions: [] };
  }
}

/** Returns true if an item needs the user. @param {Pick<OutboxItem, 'state'>} item */
const needsUser = ({ state }) => state === 'failed' || state === 'unsure';

/**
 * Returns the sentence about all that waits, and how soon the first of it is sent, if that is known. Both are empty if
 * nothing waits.
 * @param {Pick<OutboxItem, 'state' | 'until'>[]} items
 */
export function summary(items, now = performance.now()) {
  const waiting = items.filter((item) => !needsUser(item));
  if (!waiting.length) return { text: '', when: '' };
  if (waiting.every(({ state }) => state === 'sending')) return { text: 'Sending…', when: '' };
  const limited = waiting.find(({ state }) => state === 'waiting');
  return { text: `${waiting.length} waiting to be sent`, when: limited ? soon(limited.until, now) : '' };
}

export class PendingLines {
  #log;
  #hooks;
  /** @type {Map<string, PendingLine>} */
  #lines = new Map(); // by key
  /** @type {OutboxItem[]} */
  #items = [];
  #summary = element('p', 'waiting');
  #sentence = element('span');
  #when = element('span', 'left');
  #toggle = button('Details', () => this.#toggleDetails());
  #text = ''; // of the sentence
  /** @type {number | undefined} */
  #timer;

  /** @param {MessageLog} log @param {PendingHooks} hooks */
  constructor(log, hooks) {
    this.#log = log;
    this.#hooks = hooks;
    this.#sentence.role = 'status';
    this.#when.ariaHidden = 'true'; // or every second would be read out
    this.#toggle.ariaExpanded = 'false';
    this.#summary.hidden = true;
    this.#summary.append(this.#sentence, ' ', this.#when, ' ', this.#toggle);
    find('form.composer').before(this.#summary);
  }

  get #expanded() {
    return this.#toggle.ariaExpanded === 'true';
  }

  #toggleDetails() {
    this.#toggle.ariaExpanded = `${!this.#expanded}`;
    if (this.#expanded) this.#log.follow();
    this.show(this.#items);
  }

  /** Shows the items of the outbox. @param {OutboxItem[]} items oldest first */
  show(items) {
    this.#items = items;
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, { line }] of this.#lines) if (!keys.has(key)) this.#remove(key, line);
    for (const item of items) this.#update(this.#lines.get(item.key) ?? this.#add(item), item);
    const quiet = items.filter(({ key }) => this.#isQuiet(key));
    this.#sumUp(items.filter((item) => !quiet.includes(item)));
    clearTimeout(this.#timer);
    if (quiet.length || items.some(({ until }) => until)) this.#timer = setTimeout(() => this.show(items), REFRESH_MS);
    this.#log.scrollToEnd();
  }

  /** Turns the line of an item into the message. @param {string} key @param {Message} message */
  confirm(key, message) {
    const log = this.#log;
    const { line, note } = this.#lines.get(key) ?? {};
    if (!line) return log.add(message);
    this.#lines.delete(key);
    delete line.dataset.key;
    note?.remove();
    if (document.getElementById(`${message.id}`) || !log.reachesEnd) line.remove();
    else log.insertInOrder(message, line);
    log.scrollToEnd();
  }

  /** Returns true if an item is too young to be spoken of. @param {string} key */
  #isQuiet(key) {
    return performance.now() - /** @type {PendingLine} */ (this.#lines.get(key)).at < QUIET_MS;
  }

  /** @param {OutboxItem[]} items */
  #sumUp(items) {
    const { text, when } = summary(items);
    if (!text) {
      if (this.#summary.contains(document.activeElement)) find('#message').focus();
      this.#toggle.ariaExpanded = 'false';
    }
    this.#summary.hidden = !text;
    if (this.#text !== text) this.#sentence.textContent = this.#text = text; // a live region
    this.#when.textContent = when;
  }

  /** @param {OutboxItem} item */
  #add(item) {
    const line = element('div');
    line.dataset.key = item.key;
    const made = { line, at: performance.now(), sender: item.sender };
    this.#lines.set(item.key, made);
    this.#draw(made, item);
    return made;
  }

  /** @param {PendingLine} shown @param {OutboxItem} item */
  #draw({ line }, { sender, text, at }) {
    this.#log.insert({ sender: sender.trim() || 'Anonymous', text, mine: true, at: new Date(at) }, line.nextElementSibling, line);
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
   * @param {PendingLine} shown
   * @param {OutboxItem} item
   */
  #update(shown, item) {
    const { line } = shown;
    const { text, actions } = describe(item);
    const failed = needsUser(item);
    if (shown.sender !== item.sender) {
      shown.sender = item.sender;
      shown.state = undefined; // a line that is drawn again has no note
      this.#draw(shown, item);
    }
    line.classList.toggle('failed', failed);
    line.classList.toggle('pending', !failed);
    if (shown.state !== item.state) {
      shown.note?.remove();
      shown.state = item.state;
      shown.text = '';
      shown.note = element('div', 'note');
      shown.sentence = element('span', 'says');
      if (failed) shown.sentence.role = 'alert';
      else shown.sentence.ariaLive = 'off';
      shown.note.append(shown.sentence, ...actions.map((action) => this.#button(action, item.key)));
      line.append(shown.note);
    }
    if (shown.note) shown.note.hidden = !failed && (!this.#expanded || this.#isQuiet(item.key));
    if (shown.sentence && shown.text !== text) shown.sentence.textContent = shown.text = text;
  }

  /** @param {string} action @param {string} key */
  #button(action, key) {
    return button(action, () => {
      if (action === 'Edit') this.#hooks.edit(key);
      else if (action === 'Discard') this.#hooks.discard(key);
      else this.#hooks.retry(key);
    });
  }
}
