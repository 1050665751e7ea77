/**
 * Completing names: `@` opens a list of those who are here, and the tabulator completes the word before the caret.
 */

import { element } from './log.js';

const MOST = 8;

/** The word that ends at `caret`: where it starts, what to look for, and whether it calls. */
export function word(text, caret) {
  const { index, 0: whole } = /@?[^\s@]*$/u.exec(text.slice(0, caret));
  const before = text[index - 1] ?? ' ';
  const calls = whole.startsWith('@') && !/[\p{L}\p{N}]/u.test(before);
  return { start: index, stem: whole.replace('@', ''), calls };
}

/** The names that begin so, in any case. A name counts once. */
export function candidates(stem, names) {
  const small = stem.toLocaleLowerCase();
  const fits = (name) => name.toLocaleLowerCase().startsWith(small);
  return [...new Set(names)].filter(fits).slice(0, MOST);
}

/** The text with `name` in place of the word at `start`, and where the caret stands then. */
export function completed(text, caret, start, name) {
  const head = `${text.slice(0, start)}@${name} `;
  return { text: head + text.slice(caret).replace(/^ /, ''), caret: head.length };
}

export function completing(composer, names) {
  const { box } = composer;
  const list = element('ul', 'names');
  Object.assign(list, { id: 'names', role: 'listbox', ariaLabel: 'Names', hidden: true });
  box.after(list);
  box.setAttribute('aria-controls', 'names');
  box.ariaAutoComplete = 'list';
  let found = [];
  let at = 0;

  function close() {
    found = [];
    list.hidden = true;
    box.removeAttribute('aria-activedescendant');
  }

  function choose(index) {
    at = (index + found.length) % found.length;
    [...list.children].forEach((option, each) => (option.ariaSelected = `${each === at}`));
    box.setAttribute('aria-activedescendant', `name-${at}`);
    list.children[at].scrollIntoView({ block: 'nearest' });
  }

  function open(those) {
    found = those;
    list.replaceChildren(
      ...found.map((name, index) => {
        const option = element('li', '', name);
        Object.assign(option, { id: `name-${index}`, role: 'option', dir: 'auto' });
        option.onpointerdown = (event) => {
          event.preventDefault(); // the box keeps the focus
          take(name);
        };
        return option;
      }),
    );
    list.hidden = false;
    choose(0);
  }

  function take(name) {
    const { text, caret } = completed(box.value, box.selectionEnd, word(box.value, box.selectionEnd).start, name);
    close();
    composer.put(text);
    box.setSelectionRange(caret, caret);
    box.focus();
  }

  function look() {
    const { stem, calls } = word(box.value, box.selectionEnd);
    return { stem, calls, those: candidates(stem, names()) };
  }

  box.addEventListener('blur', close);

  return {
    typed() {
      const { calls, those } = look();
      if (calls && those.length > 0 && document.activeElement === box) open(those);
      else close();
    },
    /** Whether the key was meant for names. */
    pressed(event) {
      const { key } = event;
      const shown = found.length > 0;
      const { stem, calls, those } = key === 'Tab' && !shown ? look() : {};
      if (shown && key === 'Escape') close();
      else if (shown && (key === 'Tab' || key === 'Enter')) take(found[at]);
      else if (shown && key === 'ArrowDown') choose(at + 1);
      else if (shown && key === 'ArrowUp') choose(at - 1);
      else if ((stem || calls) && those.length === 1) take(those[0]);
      else if ((stem || calls) && those.length > 1) open(those);
      else return false;
      event.preventDefault();
      return true;
    },
  };
}
