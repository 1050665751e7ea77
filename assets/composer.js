/**
 * The message box: its text is sent with Enter or the button, and is a draft until then. composer-aids.js adds to it.
 */

import { wellFormed } from './wire.js';

/** @import { PageStorage } from './storage.js' */

const COMPOSITION_END_MS = 20; // Safari reports the Enter that ended a composition only after its end
export const MAX_UNITS = 20_000; // of UTF-16 in the box: five times what can be sent, since the text may be shortened here

/** Returns true if a key belongs to an input method. Safari tells it only by the code. @param {KeyboardEvent} event */
export const isComposing = ({ isComposing: composing, keyCode }) => composing || keyCode === 229;

/**
 * Returns true if a key sends. On touch Enter breaks the line; the Enter of a composition does neither.
 * @param {KeyboardEvent} event
 * @param {number} composedAt timestamp of the last composition's end
 * @param {boolean} touch
 */
export function sends(event, composedAt, touch) {
  const composing = isComposing(event) || event.timeStamp - composedAt < COMPOSITION_END_MS;
  if (event.key !== 'Enter' || event.shiftKey || composing) return false;
  return event.ctrlKey || event.metaKey || !touch;
}

/**
 * A draft, as it is stored under the id of its tab.
 * @typedef {object} Draft
 * @property {string} tab
 * @property {string} room
 * @property {string} text
 * @property {number} at when it was touched, Unix milliseconds
 * @property {boolean} [closed] whether its tab was closed
 */

/** Keeps a draft; an empty one is forgotten. @param {Pick<PageStorage, 'set' | 'remove'>} storage @param {Draft} draft */
export function saveDraft(storage, draft) {
  const key = `draft:${draft.tab}`;
  if (draft.text) storage.set(key, JSON.stringify(draft));
  else storage.remove(key);
}

/**
 * @typedef {object} ComposerHooks
 * @property {(text: string) => string} check returns why a text cannot be sent, or an empty string
 * @property {(text: string) => void} save keeps what is in the box
 * @property {(text: string) => void} send
 */

export class Composer {
  #error;
  #hooks;
  #composedAt = -COMPOSITION_END_MS;

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} error where a problem is shown
   * @param {ComposerHooks} hooks
   */
  constructor(form, error, hooks) {
    /** @type {HTMLTextAreaElement} */
    this.box = form.message;
    this.#error = error;
    this.#hooks = hooks;
    const { box } = this;
    form.noValidate = true;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    box.maxLength = MAX_UNITS;
    box.addEventListener('input', () => {
      if (box.value.length > MAX_UNITS) box.value = box.value.slice(0, MAX_UNITS); // set by a program
      hooks.save(box.value);
    });
    box.addEventListener('compositionend', (event) => (this.#composedAt = event.timeStamp));
    box.addEventListener('keydown', (event) => {
      const touch = matchMedia('(pointer: coarse)').matches;
      if (event.defaultPrevented || !sends(event, this.#composedAt, touch)) return;
      event.preventDefault();
      if (!event.repeat) this.#submit();
    });
    if (box.value) hooks.save(box.value); // the browser has restored it
    if (matchMedia('(pointer: fine)').matches && !location.hash) box.focus({ preventScroll: true });
  }

  /** Sets the text, as if it was typed. @param {string} text */
  setText(text) {
    this.box.value = text;
    this.box.dispatchEvent(new Event('input'));
  }

  /** Shows a problem; an empty one clears it. @param {string} problem */
  showProblem(problem) {
    this.#error.textContent = problem;
    this.box.ariaInvalid = problem ? 'true' : null;
  }

  #submit() {
    const text = wellFormed(this.box.value);
    if (!text.trim()) return;
    const problem = this.#hooks.check(text);
    this.showProblem(problem);
    if (problem) return;
    this.#hooks.send(text);
    this.setText('');
  }
}
