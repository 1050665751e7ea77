/**
 * Completion of names: `@` opens a list of those who are here, and Tab completes the word before the caret.
 */

import { element } from './dom.js';

/** @import { Composer } from './composer.js' */

const MAX_CANDIDATES = 8;
const MAX_WORD = 130; // a name of 64 characters, and its `@`

/**
 * Returns the word that ends at the caret: its start, the stem to complete, and whether `@` introduces it.
 * @param {string} text
 * @param {number} caret
 */
export function wordAt(text, caret) {
  const from = Math.max(0, caret - MAX_WORD); // or a key in a long text would take long
  const { index, 0: whole } = /** @type {RegExpExecArray} */ (/@?[^\s@]*$/u.exec(text.slice(from, caret)));
  const start = from + index;
  const before = text[start - 1] ?? ' ';
  const calls = whole.startsWith('@') && !/[\w.%+-]/.test(before); // not the @ of a mail address
  return { start, stem: whole.replace('@', ''), calls };
}

/**
 * Returns the names that begin with the stem, in any case, each once.
 * @param {string} stem
 * @param {string[]} names
 */
export function candidates(stem, names) {
  const lower = stem.toLocaleLowerCase();
  const fits = (/** @type {string} */ name) => name.toLocaleLowerCase().startsWith(lower);
  return [...new Set(names)].filter(fits).slice(0, MAX_CANDIDATES);
}

/**
 * Returns the text with `name` in place of the word at `start`, and the caret after it.
 * @param {string} text
 * @param {number} caret
 * @param {number} start
 * @param {string} name
 */
export function complete(text, caret, start, name) {
  const head = `${text.slice(0, start)}@${name} `;
  return { text: head + text.slice(caret).replace(/^ /, ''), caret: head.length };
}

/**
 * Adds the list of names to the message box.
 * @param {Composer} composer
 * @param {() => string[]} names to choose from
 */
export function addCompletion(composer, names) {
  const { box } = composer;
  const list = element('ul', 'names');
  Object.assign(list, { id: 'names', role: 'listbox', ariaLabel: 'Names', hidden: true });
  box.after(list);
  box.setAttribute('aria-controls', 'names');
  box.ariaAutoComplete = 'list';
  /** @type {string[]} */
  let shown = [];
  let selected = 0;

  function close() {
    shown = [];
    list.hidden = true;
    box.removeAttribute('aria-activedescendant');
  }

  /** @param {number} index */
  function select(index) {
    selected = (index + shown.length) % shown.length;
    [...list.children].forEach((option, each) => (option.ariaSelected = `${each === selected}`));
    box.setAttribute('aria-activedescendant', `name-${selected}`);
    list.children[selected].scrollIntoView({ block: 'nearest' });
  }

  /** @param {string[]} found */
  function open(found) {
    shown = found;
    list.replaceChildren(
      ...shown.map((name, index) => {
        const option = element('li', '', name);
        Object.assign(option, { id: `name-${index}`, role: 'option', dir: 'auto' });
        option.onpointerdown = (event) => {
          event.preventDefault(); // the box keeps the focus
          insert(name);
        };
        return option;
      }),
    );
    list.hidden = false;
    select(0);
  }

  /** @param {string} name */
  function insert(name) {
    const { text, caret } = complete(box.value, box.selectionEnd, wordAt(box.value, box.selectionEnd).start, name);
    close();
    composer.setText(text);
    box.setSelectionRange(caret, caret);
    box.focus();
  }

  function look() {
    const { stem, calls } = wordAt(box.value, box.selectionEnd);
    return { stem, calls, found: candidates(stem, names()) };
  }

  box.addEventListener('blur', close);

  return {
    /** Opens or closes the list after the text has changed. */
    onInput() {
      const { calls, found } = look();
      if (calls && found.length > 0 && document.activeElement === box) open(found);
      else close();
    },

    /** Handles a key, and returns true if it was meant for the list. @param {KeyboardEvent} event */
    onKey(event) {
      const { key } = event;
      const isOpen = shown.length > 0;
      const { stem, calls, found } = key === 'Tab' && !isOpen ? look() : { stem: '', calls: false, found: [] };
      if (isOpen && key === 'Escape') close();
      else if (isOpen && (key === 'Tab' || key === 'Enter')) insert(shown[selected]);
      else if (isOpen && key === 'ArrowDown') select(selected + 1);
      else if (isOpen && key === 'ArrowUp') select(selected - 1);
      else if ((stem || calls) && found.length === 1) insert(found[0]);
      else if ((stem || calls) && found.length > 1) open(found);
      else return false;
      event.preventDefault();
      return true;
    },
  };
}
