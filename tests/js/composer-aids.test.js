import assert from 'node:assert/strict';
import { test } from 'node:test';

import { counterText, lengthOf, lengthProblem, nameProblem, recall } from '../../assets/composer-aids.js';

const sent = ['one', 'two', 'three'];

test('the length counts scalar values, as the server does', () => {
  assert.equal(lengthOf('a👋é'), 3);
  assert.equal(lengthOf('\n '), 2);
});

test('a text one character over the limit is a problem', () => {
  assert.equal(lengthProblem('👋'.repeat(4000)), '');
  assert.match(lengthProblem('👋'.repeat(4001)), /^That is 1 character too long\./);
  assert.match(lengthProblem('x'.repeat(4290)), /^That is 290 characters too long\./);
});

test('the counter is empty until 400 characters are left', () => {
  assert.equal(counterText('x'.repeat(3599)), '');
  assert.equal(counterText('x'.repeat(3600)), '400 left');
  assert.equal(counterText('👋'.repeat(4000)), '0 left');
  assert.equal(counterText('x'.repeat(4012)), '12 too many');
});

test('what a name breaks is said in words', () => {
  for (const name of ['', 'ada', '👋'.repeat(64), 'می\u200cخواهم']) assert.equal(nameProblem(name), '', name);
  assert.match(nameProblem('x'.repeat(70)), /6 characters too long/);
  assert.match(nameProblem('a\u200bb'), /cannot be seen/);
});

test('a text of 20,000 characters is measured in no time', () => {
  const text = '👋'.repeat(10_000);
  const started = performance.now();
  for (let key = 0; key < 100; key += 1) counterText(text);
  assert.ok(performance.now() - started < 500);
});

test('ArrowUp recalls earlier messages and stops at the first', () => {
  assert.equal(recall('ArrowUp', '', sent), 'three');
  assert.equal(recall('ArrowUp', 'three', sent), 'two');
  assert.equal(recall('ArrowUp', 'one', sent), null);
});

test('ArrowDown goes forward again and ends at the empty box', () => {
  assert.equal(recall('ArrowDown', 'two', sent), 'three');
  assert.equal(recall('ArrowDown', 'three', sent), '');
  assert.equal(recall('ArrowDown', '', sent), null);
});

test('without messages, or by another key, nothing is recalled', () => {
  assert.equal(recall('ArrowUp', '', []), null);
  assert.equal(recall('a', '', sent), null);
  assert.equal(recall('ArrowUp', 'something else', sent), null);
});
