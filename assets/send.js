/**
 * Sending: the form's text stays in its box until the server has acknowledged it.
 */

import { recall, remember } from './memory.js';

const PATIENCE = 10_000; // milliseconds; an answer later than that counts as none
const NO_ANSWER = 'The server did not answer. Your message is still here: send it again.';

export class Composer {
  #form;
  #error;
  #acknowledged;
  #attempt = null;
  #inFlight = false;
  #askedAgain = false;

  /** `acknowledged` is called whenever a message has been stored. */
  constructor(form, error, acknowledged) {
    this.#form = form;
    this.#error = error;
    this.#acknowledged = acknowledged;
    form.noValidate = true;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#box.addEventListener('keydown', (event) => this.#pressed(event));
    keepName(form.elements.sender);
    if (matchMedia('(pointer: fine)').matches) this.#box.focus({ preventScroll: true });
  }

  get #box() {
    return this.#form.elements.message;
  }

  /** Enter sends and Shift+Enter breaks the line; Enter that ends a composition does neither (229: Safari's says so late). */
  #pressed(event) {
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key !== 'Enter' || event.shiftKey || composing) return;
    event.preventDefault();
    if (!event.repeat) this.#submit();
  }

  /** One message is in flight at a time; who goes on typing and sends meanwhile is served after it. */
  async #submit() {
    if (this.#inFlight) {
      this.#askedAgain = this.#box.value !== this.#attempt.message;
      return;
    }
    if (!this.#box.value.trim()) return;
    this.#attempt = sameOrNew(this.#attempt, this.#form.elements.sender.value, this.#box.value);
    this.#busy(true);
    const reason = await publish(this.#form.action, this.#attempt);
    this.#busy(false);
    this.#error.textContent = reason ?? '';
    if (reason === null) this.#stored();
  }

  #busy(inFlight) {
    this.#inFlight = inFlight;
    if (inFlight) this.#askedAgain = false;
    this.#form.setAttribute('aria-busy', inFlight);
  }

  #stored() {
    takeAway(this.#box, this.#attempt.message);
    this.#attempt = null;
    this.#acknowledged();
    if (this.#askedAgain) this.#submit();
  }
}

/** The same words by the same sender are the same message: with the same key, the server stores them once. */
function sameOrNew(attempt, sender, message) {
  const same = attempt?.sender === sender && attempt.message === message;
  return same ? attempt : { sender, message, key: randomKey() };
}

/** `crypto.randomUUID` would not do: browsers have it on https and localhost only. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Null once the message is stored, otherwise why we cannot say so. Stored is only what has an id. */
async function publish(action, fields) {
  try {
    const response = await fetch(action, {
      method: 'POST',
      headers: { Accept: 'application/json' },
      body: new URLSearchParams(fields),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const answer = await response.json().catch(() => ({}));
    if (response.ok && answer?.id) return null;
    return answer?.detail || answer?.title || `The message was not taken (${response.status}).`;
  } catch {
    return NO_ANSWER;
  }
}

/** Removes what was sent and leaves what was typed since; a text edited otherwise is a new one and stays whole. */
function takeAway(box, sent) {
  if (!box.value.startsWith(sent)) return;
  const caret = Math.max(0, box.selectionEnd - sent.length);
  box.value = box.value.slice(sent.length);
  box.setSelectionRange(caret, caret);
}

function keepName(input) {
  input.value ||= recall('name');
  input.addEventListener('input', () => remember('name', input.value));
}
