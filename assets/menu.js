/**
 * The menu of a message: what can be done with it and, below, its details. A button beside the time opens it, on touch a tap
 * on the message; one at a time. It lies above the log, so that nothing moves. Loaded when the log is touched.
 */

import { copyText } from './clipboard.js';
import { formatFull } from './dates.js';
import { delaySentence, nodeLookup } from './details.js';
import { element } from './dom.js';
import { keepEdit } from './edits.js';
import { secretOf } from './identities.js';
import { load } from './load.js';
import { addMoreButton, lineOf } from './more-button.js';
import { isMuted } from './mute.js';
import { setMuted } from './muting.js';
import { quote } from './quotes.js';
import { storage } from './storage.js';

/** @import { Composer } from './composer.js' */
/** @import { Editor, EditorHooks } from './editor.js' */
/** @import { MessageLog } from './log.js' */
/** @import { Message } from './wire.js' */

const NO_KEY = 'This browser does not hold the key of this message, so it cannot be changed here.';
const MARGIN_PX = 4; // between the menu and its message

/**
 * @typedef {object} MenuHooks
 * @property {string} room
 * @property {Composer} composer
 * @property {(id: string) => number | undefined} delayOf milliseconds, if the message was sent from this page
 * @property {(text: string) => string} check returns why a text cannot be saved, or an empty string
 * @property {(sentence: string) => void} announce to screen readers
 * @property {(sentence: string) => void} notice to all
 * @property {(edit: { id: string, text: string }) => void} onEdited
 * @property {(id: string) => void} onDeleted
 * @property {() => void} onMuted
 */

/**
 * Something that can be done with a message. `act` resolves to what the item says from then on, if the menu stays open.
 * @typedef {{ label: string, act: () => unknown }} Action
 */

export class MessageMenu {
  #log;
  #hooks;
  #lookUpNode;
  /** @type {HTMLElement | null} */
  #line = null; // whose menu is open
  /** @type {HTMLElement | null | undefined} */
  #button;
  #box = element('div', 'details');
  /** @type {string | undefined} */
  #pointer; // mouse, touch or pen
  /** @type {Editor | undefined} */
  #editor;

  /** @param {MessageLog} log @param {MenuHooks} hooks */
  constructor(log, hooks) {
    this.#log = log;
    this.#hooks = hooks;
    this.#lookUpNode = nodeLookup(window, hooks.room);
    this.#box.ariaLive = 'off'; // the log is read out
    this.#box.onkeydown = (event) => this.#onKey(event);
    document.addEventListener('click', ({ target }) => this.#isOutside(/** @type {Element} */ (target)) && this.close());
    document.addEventListener('focusin', ({ target }) => this.#isOutside(/** @type {Element} */ (target)) && this.close());
    document.addEventListener('keydown', ({ key }) => key === 'Escape' && this.close(true));
    // A frame later the log has scrolled to its end.
    new ResizeObserver(() => requestAnimationFrame(() => this.#position())).observe(log.scroller);
  }

  /** Handles an event in the log. @param {Event} event */
  handle(event) {
    const target = /** @type {Element} */ (event.target);
    if (event.type === 'pointerdown') this.#pointer = /** @type {PointerEvent} */ (event).pointerType;
    if (event.type === 'click') this.#onClick(target, /** @type {MouseEvent} */ (event).detail === 0);
  }

  /** @param {HTMLElement} line */
  async open(line, byKeyboard = false) {
    this.close();
    const message = this.#log.messageOf(line);
    if (!message) return;
    this.#line = line;
    this.#button = addMoreButton(line);
    if (this.#button) this.#button.ariaExpanded = 'true';
    const menu = element('div', 'actions');
    menu.role = 'menu';
    menu.ariaLabel = 'Message';
    menu.append(...this.#actions(line, message).map((action) => this.#item(action)));
    const node = element('p', '', 'Asking which node took it…'); // there from the start, so that nothing moves later
    const delay = this.#hooks.delayOf(line.id);
    const rows = delay ? [node, element('p', '', delaySentence(delay))] : [node];
    this.#box.replaceChildren(menu, ...rows, element('p', 'fact', formatFull(message.at)), element('p', 'fact id', line.id));
    line.append(this.#box);
    this.#position();
    if (byKeyboard) /** @type {HTMLElement | null} */ (menu.firstElementChild)?.focus({ preventScroll: true });
    const sentence = await this.#lookUpNode(line.id);
    if (line !== this.#line || !node.isConnected) return;
    node.replaceWith(element('p', '', sentence));
    this.#position();
    this.#hooks.announce(delay ? `${sentence}, ${delaySentence(delay)}` : sentence);
  }

  /** @param {boolean} [back] whether the focus goes back to the button */
  close(back = false) {
    if (!this.#line) return;
    if (this.#button) this.#button.ariaExpanded = 'false';
    const focused = this.#box.contains(document.activeElement);
    this.#line = null;
    if (back && focused) this.#button?.focus({ preventScroll: true });
    this.#box.remove();
  }

  /** Opens the editor of a message, if this browser can change it. @param {HTMLElement} line @param {string} [text] typed before */
  async edit(line, text) {
    const message = this.#log.messageOf(line);
    if (!canChange(message)) return this.#hooks.notice(NO_KEY);
    this.close();
    const { Editor } = await load('editor');
    this.#editor ??= new Editor(this.#log, this.#editorHooks());
    this.#editor.open(line, text);
  }

  /** Goes on with an edit that was begun before a reload. @param {{ id: string, text: string }} kept */
  continueEdit({ id, text }) {
    const line = document.getElementById(id);
    if (line && canChange(this.#log.messageOf(line))) return this.edit(line, text);
    this.#editorHooks().onLost(text);
    keepEdit(this.#hooks.room, null);
  }

  /** Asks whether a message is to be deleted, if this browser can delete it. @param {HTMLElement} line */
  async delete(line) {
    const message = this.#log.messageOf(line);
    if (!message || !canChange(message)) return this.#hooks.notice(NO_KEY);
    this.close(true);
    const { confirmDeletion } = await load('editor');
    confirmDeletion(message, this.#editorHooks(), this.#hooks.onDeleted);
  }

  /** The connection is back. */
  onLive() {
    this.#editor?.onLive();
  }

  /** @returns {EditorHooks} */
  #editorHooks() {
    const { room, composer, check, onEdited, notice } = this.#hooks;
    return {
      room,
      secretOf: ({ mark }) => secretOf(storage, mark),
      check,
      onSaved: onEdited,
      onLost(text) {
        addToBox(composer, text, '');
        notice('The message is gone. What you wrote is in the box.');
      },
    };
  }

  /**
   * @param {HTMLElement} line
   * @param {Message} message
   * @returns {Action[]}
   */
  #actions(line, message) {
    const { composer, room, onMuted } = this.#hooks;
    const { sender, text } = message;
    const url = `${location.origin}/${encodeURIComponent(room)}#${line.id}`;
    const copy = async (/** @type {string} */ copied) => ((await copyText(copied)) ? 'Copied' : 'This browser does not let the page copy');
    const muted = isMuted(storage, sender);
    const mute = () => {
      setMuted(storage, sender, !muted);
      onMuted();
    };
    const own = [
      { label: 'Edit', act: () => this.edit(line) },
      { label: 'Delete', act: () => this.delete(line) },
    ];
    return [
      { label: 'Reply', act: () => addToBox(composer, '', quote(sender, text, url)) },
      { label: 'Copy text', act: () => copy(text) },
      { label: 'Copy link', act: () => copy(url) },
      { label: 'Share…', act: async () => (await load('share')).shareMessage(url, room) },
      ...(canChange(message) ? own : []),
      ...(message.mine ? [] : [{ label: muted ? 'No longer mute this name' : 'Mute this name', act: mute }]),
    ];
  }

  /** @param {Action} action */
  #item({ label, act }) {
    const item = element('button', '', label);
    Object.assign(item, { type: 'button', role: 'menuitem', tabIndex: -1 });
    item.onclick = async () => {
      const button = this.#button;
      const says = act();
      if (!/^Copy/.test(label)) {
        this.close();
        if (document.activeElement === document.body) button?.focus({ preventScroll: true }); // or the keyboard would be lost
        return;
      }
      item.textContent = await /** @type {Promise<string>} */ (says);
      this.#hooks.announce(item.textContent);
    };
    return item;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const items = /** @type {HTMLElement[]} */ ([...this.#box.querySelectorAll('[role=menuitem]')]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const { key } = event;
    const next = key === 'ArrowDown' ? at + 1 : key === 'ArrowUp' ? at - 1 : key === 'Home' ? 0 : key === 'End' ? -1 : undefined;
    if (key === 'Tab') return this.close(true);
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the arrow keys of the log
    items.at(next % items.length)?.focus({ preventScroll: true });
  }

  /**
   * Positions the menu below the message; above it if it would be out of view or make the log longer; over it if it fills
   * the screen.
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

  /** @param {Element} target @param {boolean} byKeyboard */
  #onClick(target, byKeyboard) {
    if (this.#box.contains(target)) return;
    const opens = target.closest('.more') || (this.#pointer !== 'mouse' && !byKeyboard && !target.closest('a, button, form'));
    const line = opens ? lineOf(target) : null;
    if (line && line !== this.#line) this.open(line, byKeyboard);
    else this.close();
  }

  /**
   * Returns true if something is outside the message of the menu. Any click focuses the log itself, which does not count.
   * @param {Element} target
   */
  #isOutside(target) {
    return target !== this.#log.scroller && target.isConnected && !this.#line?.contains(target);
  }
}

/** Returns true if this browser holds the secret of a message. @param {Message | undefined} message */
const canChange = (message) => !!message?.id && secretOf(storage, message.mark) !== '';

/**
 * Puts a quote before what is in the box, or a text after it, and goes there.
 * @param {Composer} composer
 * @param {string} text
 * @param {string} quoted
 */
function addToBox(composer, text, quoted) {
  const { box } = composer;
  composer.setText(quoted + [box.value, text].filter(Boolean).join('\n'));
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
}
