/**
 * Details of a message, on demand: which node took it and, if it was sent from this page, how long it took until it was
 * shown. A button beside the time opens them, on touch a tap on the message; one at a time. They lie above the log, so that
 * nothing moves.
 */

import { formatFull } from './dates.js';
import { element } from './dom.js';

/** @import { MessageLog } from './log.js' */

const REQUEST_TIMEOUT_MS = 10_000; // a later response counts as none
const PROGRESS_MS = 400; // a response that arrives sooner needs no "Asking…"
const MARGIN_PX = 4; // between the details and their message

/**
 * Returns a function that resolves to the sentence about a message's node. Each message is looked up once; again if the
 * lookup failed.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 */
export function nodeLookup(world, room) {
  /** @type {Map<string, Promise<string>>} */
  const sentences = new Map();
  const lookUp = async (/** @type {string} */ id) => {
    const { sentence, failed } = await fetchNode(world, room, id);
    if (failed) sentences.delete(id);
    return sentence;
  };
  return (/** @type {string} */ id) => {
    const sentence = sentences.get(id) ?? lookUp(id);
    sentences.set(id, sentence);
    return sentence;
  };
}

/**
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {string} id
 */
async function fetchNode(world, room, id) {
  const path = `/history/${encodeURIComponent(room)}/${id}?all=1`;
  try {
    const response = await world.fetch(path, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (response.status === 404) return { sentence: 'No longer kept, nor which node took it.' };
    if (!response.ok) return { sentence: 'The server cannot say now which node took it.', failed: true };
    const { node } = await response.json();
    return { sentence: node ? `Taken by ${node}` : 'Taken by a node without a name' };
  } catch {
    return { sentence: 'Offline: the node that took it cannot be looked up.', failed: true };
  }
}

/**
 * Returns the sentence about a delay, from Send to the frame that showed the message. All waiting is included.
 * @param {number} ms
 */
export const delaySentence = (ms) => `${duration(ms)} from Send to screen`;

/** @param {number} ms */
function duration(ms) {
  const whole = Math.max(1, Math.round(ms));
  if (whole < 1000) return `${whole} ms`;
  const tenths = Math.round(ms / 100);
  return tenths < 600 ? `${tenths / 10} s` : `${Math.round(ms / 60_000)} min`;
}

/**
 * @typedef {object} DetailsHooks
 * @property {(id: string) => Promise<string>} lookUpNode resolves to the sentence about a message's node
 * @property {(id: string) => number | undefined} delayOf milliseconds, if the message was sent from this page
 * @property {(sentence: string) => void} announce to screen readers
 */

export class Details {
  #log;
  #hooks;
  /** @type {HTMLElement | null} */
  #line = null; // whose details are open
  /** @type {Element | null | undefined} */
  #button;
  #box = element('div', 'details');
  /** @type {string | undefined} */
  #pointer; // mouse, touch or pen

  /** @param {MessageLog} log @param {DetailsHooks} hooks */
  constructor(log, hooks) {
    this.#log = log;
    this.#hooks = hooks;
    this.#box.ariaLive = 'off'; // the log is read out
    const { scroller } = log;
    for (const type of ['pointerover', 'focusin']) {
      scroller.addEventListener(type, ({ target }) => addButton(lineOf(target)));
    }
    scroller.addEventListener('pointerdown', ({ pointerType }) => (this.#pointer = pointerType));
    document.addEventListener('click', ({ target }) => this.#onClick(/** @type {Element} */ (target)));
    document.addEventListener('focusin', ({ target }) => this.#isOutside(/** @type {Element} */ (target)) && this.close());
    document.addEventListener('keydown', ({ key }) => key === 'Escape' && this.close());
    // A frame later the log has scrolled to its end.
    new ResizeObserver(() => requestAnimationFrame(() => this.#position())).observe(scroller);
  }

  /** @param {HTMLElement} line */
  async open(line) {
    this.close();
    this.#line = line;
    this.#button = addButton(line);
    if (this.#button) this.#button.ariaExpanded = 'true';
    const progress = setTimeout(() => this.#show(line, ['Asking which node took it…']), PROGRESS_MS);
    const node = await this.#hooks.lookUpNode(line.id);
    clearTimeout(progress);
    const delay = this.#hooks.delayOf(line.id);
    const sentences = delay ? [node, delaySentence(delay)] : [node];
    if (this.#show(line, sentences)) this.#hooks.announce(sentences.join(', '));
  }

  close() {
    if (!this.#line) return;
    if (this.#button) this.#button.ariaExpanded = 'false';
    this.#box.remove();
    this.#line = null;
  }

  /**
   * Shows sentences, and returns true, unless the details were closed meanwhile.
   * @param {HTMLElement} line
   * @param {string[]} sentences
   */
  #show(line, sentences) {
    const message = this.#log.messageOf(line);
    if (line !== this.#line || !message) return false;
    const rows = sentences.map((sentence) => element('p', '', sentence));
    this.#box.replaceChildren(...rows, element('p', 'fact', formatFull(message.at)), element('p', 'fact id', line.id));
    line.append(this.#box);
    this.#position();
    return true;
  }

  /**
   * Positions the details below the message; above it if they would be out of view or make the log longer; over it if it
   * fills the screen.
   */
  #position() {
    if (!this.#line || !this.#box.isConnected) return;
    const view = this.#log.scroller.getBoundingClientRect();
    const list = this.#log.list.getBoundingClientRect();
    const line = this.#line.getBoundingClientRect();
    const height = this.#box.offsetHeight;
    const below = line.bottom + MARGIN_PX;
    const above = Math.max(view.top, line.top - MARGIN_PX - height);
    const fits = below + height <= Math.min(view.bottom, list.bottom);
    this.#box.style.top = `${(fits ? below : above) - line.top}px`;
  }

  /** @param {Element} target */
  #onClick(target) {
    if (this.#box.contains(target)) return;
    const opens = target.closest('.more') || (this.#pointer !== 'mouse' && !target.closest('a, button'));
    const line = opens ? lineOf(target) : null;
    if (line && line !== this.#line) this.open(line);
    else this.close();
  }

  /**
   * Returns true if the focus has left the details' message. Any click focuses the log itself, which does not count.
   * @param {Element} target
   */
  #isOutside(target) {
    return target !== this.#log.scroller && !this.#line?.contains(target);
  }
}

/**
 * Returns the line around an element. Messages without an id have no details: foreign ones, and pending ones.
 * @param {EventTarget | null} target
 */
const lineOf = (target) => /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest('.message[data-id]'));

/** Adds the button to a line that is pointed at or focused, and returns it. @param {HTMLElement | null} line */
function addButton(line) {
  const existing = line?.querySelector('.more');
  if (!line || existing) return existing;
  const button = element('button', 'more');
  Object.assign(button, { type: 'button', title: 'Details', ariaLabel: 'Details', ariaExpanded: 'false', ariaLive: 'off' });
  line.querySelector('.when')?.after(button);
  return button;
}
