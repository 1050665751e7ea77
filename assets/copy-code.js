/**
 * Buttons that copy a block of code. They come when a message is pointed at or has the focus.
 */

import { copyText } from './clipboard.js';
import { element } from './dom.js';
import { tokenize } from './tokens.js';

const DONE_MS = 2000;

/**
 * Adds a button to each block of code of a message.
 * @param {HTMLElement} line
 * @param {string} text of the message
 * @param {(sentence: string) => void} announce to screen readers
 */
export function addCopyButtons(line, text, announce) {
  const codes = tokenize(text).filter(({ kind }) => kind === 'fence');
  line.querySelectorAll('.fence').forEach((block, index) => {
    if (block.querySelector('.copy')) return;
    const copy = element('button', 'copy'); // its words are CSS's, and so in no text that is copied
    Object.assign(copy, { type: 'button', ariaLabel: 'Copy this code' });
    copy.onclick = async () => {
      const copied = await copyText(codes[index].text);
      copy.dataset.done = copied ? 'Copied' : 'Not copied';
      announce(copied ? 'Copied' : 'This browser does not let the page copy.');
      setTimeout(() => delete copy.dataset.done, DONE_MS);
    };
    block.prepend(copy);
  });
}
