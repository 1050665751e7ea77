/**
 * What screen readers are told: messages one by one, or their number if many arrive at once, and sentences about the page.
 */

const MAX_PER_SECOND = 4; // messages that are read out one by one

export class Announcer {
  #log;
  #output;
  #burst = 0; // messages in this second

  /** @param {HTMLElement} log @param {HTMLElement} output a live region */
  constructor(log, output) {
    this.#log = log;
    this.#output = output;
  }

  /** @param {string} sentence */
  announce(sentence) {
    this.#output.textContent = sentence;
  }

  /** Sets whether changes of the log are read out. @param {boolean} polite */
  setLive(polite) {
    this.#log.ariaLive = polite ? 'polite' : 'off';
  }

  onMessage() {
    this.#burst += 1;
    if (this.#burst > MAX_PER_SECOND) this.setLive(false);
    if (this.#burst > 1) return;
    setTimeout(() => {
      if (this.#burst > MAX_PER_SECOND) this.announce(`${this.#burst} new messages`);
      this.#burst = 0;
      this.setLive(true);
    }, 1000);
  }
}
