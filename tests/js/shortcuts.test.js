import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { onShortcut } from '../../assets/shortcuts.js';

let done;
const box = {
  value: 'draft ',
  focus: () => done.push('focus'),
  setSelectionRange: (...range) => done.push(range.join()),
};
const parts = {
  rooms: { querySelectorAll: () => [] },
  composer: { box, setText: (text) => done.push(`text ${text}`) },
  showHelp: () => done.push('help'),
  edit: ({ id }) => done.push(`edit ${id}`),
  remove: ({ id }) => done.push(`remove ${id}`),
};

/** Returns what a key does, where the elements around its target match these selectors. */
function press(key, { within = [], late = false, modifiers = [], ...rest } = {}) {
  done = [];
  const closest = (selector) => (within.some((each) => selector.split(', ').includes(each)) ? { id: '1-1' } : null);
  const event = { key, target: { closest }, preventDefault: () => done.push('prevented'), getModifierState: (name) => modifiers.includes(name), ...rest };
  onShortcut(event, parts, late);
  return done.join(' ');
}

beforeEach(() => (done = []));

test('what is typed anywhere goes to the message box', () => {
  for (const key of ['h', 'H', '7', '@', 'é', '好', '👍', 'Dead']) assert.equal(press(key), 'focus 6,6', key);
  assert.equal(press('h', { late: true }), 'focus 6,6 text draft h', 'also before this was loaded');
  assert.equal(press('@', { ctrlKey: true, altKey: true, modifiers: ['AltGraph'] }), 'focus 6,6');
  for (const key of [' ', 'Enter', 'Tab', 'Escape', 'F5', 'Delete', 'ArrowDown', 'Shift', 'Process']) assert.equal(press(key), '', key);
});

test('keys in fields, menus and dialogs, of shortcuts and of an IME are left alone', () => {
  for (const place of ['input', 'textarea', 'select', 'dialog', '[role=menu]', '[contenteditable]']) assert.equal(press('h', { within: [place] }), '', place);
  for (const modifier of ['ctrlKey', 'metaKey', 'altKey', 'isComposing', 'defaultPrevented']) assert.equal(press('h', { [modifier]: true }), '', modifier);
  assert.equal(press('h', { keyCode: 229 }), '');
  assert.equal(press('/'), 'focus prevented');
  assert.equal(press('?'), 'help prevented');
});

test('E edits and Delete deletes the own message that has the focus', () => {
  const within = ['.message.mine[data-id]'];
  assert.equal(press('e', { within }), 'edit 1-1 prevented');
  assert.equal(press('E', { within }), 'edit 1-1 prevented');
  assert.equal(press('Delete', { within }), 'remove 1-1 prevented');
  assert.equal(press('e', { within: [...within, 'textarea'] }), '', 'not while it is edited');
  assert.equal(press('e', { within: ['.message'] }), 'focus 6,6', 'the message of another');
});
