/**
 * The editor of an own message, in its line. What is typed is kept until it is saved or given up: over a reload, while the
 * server cannot be reached, and when the message is deleted meanwhile. Loaded when a message is edited.
 */

import { changeMessage } from './changes.js';
import { MAX_UNITS, isComposing, sends } from './composer.js';
import { openDialog } from './dialogs.js';
import { button, element, find } from './dom.js';
import { keepEdit } from './edits.js';
import { wellFormed } from './wire.js';

/** @import { MessageLog } from './log.js' */
/** @import { Message } from './wire.js' */

/**
 * @typedef {object} EditorHooks
 * @property {string} room
 * @property {(message: Message) => string} secretOf
 * @property {(text: string) => string} check returns why a text cannot be saved, or an empty string
 * @property {(edit: { id: string, text: string }) => void} onSaved
 * @property {(text: string) => void} onLost the message is gone; the text goes to the message box
 */

export class Editor {
  #log;
  #hooks;
  /** @type {HTMLElement | null} */
  #line = null;
  #form = element('form', 'editor');
  #box = element('textarea');
  #note = element('p', 'note');
  #observer = new MutationObserver(() => this.#onLog());
  /** @type {number | undefined} */
  #timer;
  #saving = false;
  #failed = false; // saved again when the connection is back

  /** @param {MessageLog} log @param {EditorHooks} hooks */
  constructor(log, hooks) {
    this.#log = log;
    this.#hooks = hooks;
    const row = element('div', 'row');
    const save = element('button', 'primary', 'Save');
    row.append(save, button('Cancel', () => this.close()));
    this.#note.role = 'status';
    this.#box.ariaLabel = 'Edit the message';
    this.#box.dir = 'auto';
    this.#box.maxLength = MAX_UNITS;
    this.#box.oninput = () => {
      this.#keep();
      this.#fit();
    };
    this.#form.ariaLive = 'off'; // the log is read out
    this.#form.append(this.#box, row, this.#note);
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#save();
    };
    this.#form.onkeydown = (event) => this.#onKey(event);
  }

  /** Opens the editor in the line of an own message. @param {HTMLElement} line @param {string} [text] typed before */
  open(line, text) {
    if (this.#line === line) return this.#box.focus();
    this.close();
    const message = this.#log.messageOf(line);
    if (!message) return;
    this.#line = line;
    this.#box.value = text ?? message.text;
    this.#observer.observe(this.#log.list, { childList: true, subtree: true });
    this.#attach();
    this.#box.focus({ preventScroll: true });
    if (this.#log.following) this.#log.scrollToEnd();
    else this.#form.scrollIntoView({ block: 'nearest' });
  }

  /** Closes the editor, and gives up what was typed. @param {boolean} focused whether the focus stays in the line */
  close(focused = this.#form.contains(document.activeElement)) {
    const line = this.#line;
    if (!line) return;
    this.#observer.disconnect();
    clearTimeout(this.#timer);
    this.#line = null;
    this.#failed = false;
    this.#say('');
    this.#form.remove();
    line.classList.remove('editing');
    if (focused) /** @type {HTMLElement | null} */ (line.querySelector('a.when'))?.focus({ preventScroll: true });
    this.#keep();
  }

  /** Saves again what could not be saved while the server was away. */
  onLive() {
    if (this.#failed) this.#save();
  }

  #attach() {
    this.#line?.classList.add('editing');
    this.#line?.append(this.#form);
    this.#fit();
  }

  /** The line may have been drawn again, or be gone. */
  #onLog() {
    const line = this.#line;
    if (!line) return;
    if (line.isConnected) {
      if (this.#form.parentNode === line) return;
      this.#attach();
      if (document.activeElement === document.body) this.#box.focus({ preventScroll: true });
      return;
    }
    const text = this.#box.value;
    const changed = text !== this.#log.messageOf(line)?.text;
    this.close();
    if (changed) this.#hooks.onLost(text);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    event.stopPropagation(); // the keys of the page do something else
    if (isComposing(event)) return;
    if (event.key === 'Escape') this.close();
    const touch = matchMedia('(pointer: coarse)').matches;
    if (event.target !== this.#box || !sends(event, -Infinity, touch)) return;
    event.preventDefault();
    this.#save();
  }

  /** @returns {Promise<void>} */
  async #save() {
    const line = this.#line;
    const message = this.#log.messageOf(line);
    const text = wellFormed(this.#box.value);
    if (this.#saving || !line || !message) return;
    clearTimeout(this.#timer);
    this.#failed = false;
    if (text === message.text) return this.close();
    const problem = text.trim() ? this.#hooks.check(text) : 'An empty message cannot be saved; it can be deleted.';
    this.#say(problem);
    if (problem) return;
    this.#saving = true;
    const { room } = this.#hooks;
    const result = await changeMessage(window, room, line.id, this.#hooks.secretOf(message), text);
    this.#saving = false;
    const focused = this.#form.contains(document.activeElement);
    if (result.done) this.#hooks.onSaved({ id: line.id, text });
    if (line !== this.#line) return; // closed meanwhile
    if (result.done) return this.close(focused);
    if (result.wait) return this.#countDown(result.wait);
    this.#failed = !!result.failed;
    if (result.failed) this.#say(`${result.failed} What you wrote is kept here, and saved when the connection is back.`);
    else this.#say(`${result.refused} What you wrote stays here until you cancel.`);
  }

  /** @param {number} seconds until it is saved again */
  #countDown(seconds) {
    if (seconds <= 0) return void this.#save();
    this.#say(`Too many messages for the moment. It is saved in ${seconds} s.`);
    this.#timer = setTimeout(() => this.#countDown(seconds - 1), 1000);
  }

  /** @param {string} sentence */
  #say(sentence) {
    this.#note.textContent = sentence;
  }

  /** Keeps what is typed for a reload. */
  #keep() {
    const [id, text] = [this.#line?.id, this.#box.value];
    keepEdit(this.#hooks.room, id ? { id, text } : null);
  }

  #fit() {
    const box = this.#box;
    for (box.rows = 1; box.rows < 12 && box.scrollHeight > box.clientHeight + 2; ) box.rows += 1;
  }
}

/**
 * Asks whether an own message is to be deleted, and deletes it after a yes.
 * @param {Message} message
 * @param {Pick<EditorHooks, 'room' | 'secretOf'>} hooks
 * @param {(id: string) => void} onDeleted
 */
export function confirmDeletion(message, { room, secretOf }, onDeleted) {
  const id = /** @type {string} */ (message.id);
  const text = element('blockquote', 'excerpt', message.text.slice(0, 200));
  const result = element('p', 'error');
  const row = element('p', 'row');
  text.translate = false;
  text.dir = 'auto';
  result.role = 'alert';
  const remove = button('Delete', async () => {
    remove.disabled = true;
    const { done, gone, wait, refused, failed } = await changeMessage(window, room, id, secretOf(message));
    remove.disabled = false;
    remove.focus(); // what is disabled loses the focus
    if (done || gone) {
      onDeleted(id);
      return dialog.close();
    }
    result.textContent = wait ? `Too many messages for the moment: try again in ${wait} s.` : `${refused ?? failed} It was not deleted.`;
  });
  const keep = button('Keep it', () => dialog.close());
  row.append(keep, remove);
  remove.className = 'danger';
  const about = element('p', '', 'It disappears for everybody, at once, and cannot be brought back.');
  const dialog = openDialog('Delete this message?', 'confirm', text, about, row, result);
  find('.danger', dialog).focus();
}
