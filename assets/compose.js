/**
 * Writing: the box keeps a draft until it is sent.
 */

import { recall, remember } from './memory.js';

const LATE = 20; // milliseconds: Safari tells late of the Enter that ended a composition

/** Whether a key that is pressed sends. On touch Enter breaks the line; that of a composition does neither. */
export function sends(event, composedAt, touch) {
  const composing = event.isComposing || event.keyCode === 229 || event.timeStamp - composedAt < LATE;
  if (event.key !== 'Enter' || event.shiftKey || composing) return false;
  return event.ctrlKey || event.metaKey || !touch;
}

export class Composer {
  problem = () => ''; // writing.js knows some
  #error;
  #composedAt = -LATE;

  constructor(form, error, room, send) {
    this.box = form.elements.message;
    this.#error = error;
    const draft = `draft:${room}`;
    const { box } = this;
    form.noValidate = true;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit(send);
    };
    box.addEventListener('input', () => remember(draft, box.value));
    box.addEventListener('compositionend', (event) => (this.#composedAt = event.timeStamp));
    box.addEventListener('keydown', (event) => {
      const touch = matchMedia('(pointer: coarse)').matches;
      if (event.defaultPrevented || !sends(event, this.#composedAt, touch)) return;
      event.preventDefault();
      if (!event.repeat) this.#submit(send);
    });
    this.put(box.value || recall(draft));
    if (matchMedia('(pointer: fine)').matches && !location.hash) box.focus({ preventScroll: true });
  }

  /** Writes into the box, as if typed. */
  put(text) {
    this.box.value = text;
    this.box.dispatchEvent(new Event('input'));
  }

  say(sentence) {
    this.#error.textContent = sentence;
    this.box.ariaInvalid = sentence ? 'true' : null;
  }

  #submit(send) {
    const text = this.box.value;
    if (!text.trim()) return;
    const problem = this.problem(text);
    this.say(problem);
    if (problem) return;
    send(text);
    this.put('');
  }
}
