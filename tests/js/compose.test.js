import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sends } from '../../assets/compose.js';
import { lengthOf, problem } from '../../assets/writing.js';

const enter = (more) => ({ key: 'Enter', timeStamp: 1000, keyCode: 13, ...more });

test('Enter sends', () => {
  assert.equal(sends(enter(), 0, false), true);
});

test('Shift+Enter breaks the line, and other keys are only keys', () => {
  assert.equal(sends(enter({ shiftKey: true }), 0, false), false);
  assert.equal(sends(enter({ key: 'a' }), 0, false), false);
});

test('on touch Enter breaks the line, and Ctrl+Enter or Cmd+Enter sends', () => {
  assert.equal(sends(enter(), 0, true), false);
  assert.equal(sends(enter({ ctrlKey: true }), 0, true), true);
  assert.equal(sends(enter({ metaKey: true }), 0, true), true);
});

test('the Enter of a composition never sends: not during it, not as key 229, not just after its end', () => {
  assert.equal(sends(enter({ isComposing: true }), 0, false), false);
  assert.equal(sends(enter({ keyCode: 229 }), 0, false), false);
  assert.equal(sends(enter(), 995, false), false);
  assert.equal(sends(enter({ ctrlKey: true, isComposing: true }), 0, true), false);
});

test('an Enter well after a composition sends', () => {
  assert.equal(sends(enter(), 900, false), true);
});

test('length counts scalar values as the server does', () => {
  assert.equal(lengthOf('a👋é'), 3);
  assert.equal(lengthOf('\n '), 2);
});

test('a text is a problem from one character beyond the limit on', () => {
  assert.equal(problem('👋'.repeat(4000)), '');
  assert.match(problem('👋'.repeat(4001)), /1 characters too long/);
});
