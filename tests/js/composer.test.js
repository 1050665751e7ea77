import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isComposing, sends } from '../../assets/composer.js';
import { wellFormed } from '../../assets/wire.js';

const enter = (more) => ({ key: 'Enter', timeStamp: 1000, keyCode: 13, ...more });

test('Enter sends', () => {
  assert.equal(sends(enter(), 0, false), true);
});

test('Shift+Enter and other keys do not send', () => {
  assert.equal(sends(enter({ shiftKey: true }), 0, false), false);
  assert.equal(sends(enter({ key: 'a' }), 0, false), false);
});

test('on touch Ctrl+Enter or Cmd+Enter sends, Enter does not', () => {
  assert.equal(sends(enter(), 0, true), false);
  assert.equal(sends(enter({ ctrlKey: true }), 0, true), true);
  assert.equal(sends(enter({ metaKey: true }), 0, true), true);
});

test('the Enter of a composition never sends', () => {
  assert.equal(sends(enter({ isComposing: true }), 0, false), false);
  assert.equal(sends(enter({ keyCode: 229 }), 0, false), false);
  assert.equal(sends(enter(), 995, false), false);
  assert.equal(sends(enter({ ctrlKey: true, isComposing: true }), 0, true), false);
});

test('an Enter well after a composition sends', () => {
  assert.equal(sends(enter(), 900, false), true);
});

test('keys of an input method are told by their code, too', () => {
  assert.equal(isComposing(enter({ keyCode: 229 })), true);
  assert.equal(isComposing(enter({ isComposing: true })), true);
  assert.equal(isComposing(enter({ isComposing: false })), false);
});

test('half an emoji becomes a replacement character', () => {
  assert.equal(wellFormed('a\ud83d'), 'a\ufffd');
  assert.equal(wellFormed('\udc4b b 👋'), '\ufffd b 👋');
});
