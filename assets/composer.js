/**
 * The message box: it keeps a draft until the message is sent, with Enter or the button. composer-aids.js adds to it.
 */

import { wellFormed } from './wire.js';

/** @import { Drafts } from './drafts.js' */

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
 * @typedef {object} ComposerHooks
 * @property {(text: string) => string} check returns why a text cannot be sent, or an empty string
 * @property {(text: string) => void} send
 */

export class Composer {
  #error;
  #hooks;
  #composedAt = -COMPOSITION_END_MS;

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} error where a problem is shown
   * @param {Pick<Drafts, 'save' | 'take' | 'takeAbandoned'>} drafts
   * @param {ComposerHooks} hooks
   */
  constructor(form, error, drafts, hooks) {
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
      drafts.save(box.value);
    });
    box.addEventListener('compositionend', (event) => (this.#composedAt = event.timeStamp));
    box.addEventListener('keydown', (event) => {
      const touch = matchMedia('(pointer: coarse)').matches;
      if (event.defaultPrevented || !sends(event, this.#composedAt, touch)) return;
      event.preventDefault();
      if (!event.repeat) this.#submit();
    });
    this.setText(box.value || drafts.take());
    if (!box.value) drafts.takeAbandoned().then((text) => text && !box.value && this.setText(text));
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
