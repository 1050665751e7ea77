/**
 * The message box: it keeps a draft until the message is sent, with Enter or the button. composer-aids.js adds to it.
 */

import { storage } from './storage.js';

const COMPOSITION_END_MS = 20; // Safari reports the Enter that ended a composition only after its end

/**
 * Returns true if a key sends. On touch Enter breaks the line; the Enter of a composition does neither.
 * @param {KeyboardEvent} event
 * @param {number} composedAt timestamp of the last composition's end
 * @param {boolean} touch
 */
export function sends(event, composedAt, touch) {
  const composing = event.isComposing || event.keyCode === 229 || event.timeStamp - composedAt < COMPOSITION_END_MS;
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
   * @param {string} room to which the draft belongs
   * @param {ComposerHooks} hooks
   */
  constructor(form, error, room, hooks) {
    /** @type {HTMLTextAreaElement} */
    this.box = form.message;
    this.#error = error;
    this.#hooks = hooks;
    const draft = `draft:${room}`;
    const { box } = this;
    form.noValidate = true;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    box.addEventListener('input', () => storage.set(draft, box.value));
    box.addEventListener('compositionend', (event) => (this.#composedAt = event.timeStamp));
    box.addEventListener('keydown', (event) => {
      const touch = matchMedia('(pointer: coarse)').matches;
      if (event.defaultPrevented || !sends(event, this.#composedAt, touch)) return;
      event.preventDefault();
      if (!event.repeat) this.#submit();
    });
    this.setText(box.value || storage.get(draft));
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
    const text = this.box.value;
    if (!text.trim()) return;
    const problem = this.#hooks.check(text);
    this.showProblem(problem);
    if (problem) return;
    this.#hooks.send(text);
    this.setText('');
  }
}
