import assert from 'node:assert/strict';
import { test } from 'node:test';

import { candidates, complete, wordAt } from '../../assets/completion.js';

test('the word before the caret is found, with or without @', () => {
  assert.deepEqual(wordAt('hi @ma', 6), { start: 3, stem: 'ma', calls: true });
  assert.deepEqual(wordAt('hi ma', 5), { start: 3, stem: 'ma', calls: false });
  assert.deepEqual(wordAt('@', 1), { start: 0, stem: '', calls: true });
  assert.deepEqual(wordAt('hi @ma there', 6), { start: 3, stem: 'ma', calls: true });
});

test('the @ of a mail address does not introduce a name', () => {
  assert.equal(wordAt('write to me@ex', 14).calls, false);
  assert.equal(wordAt('你好@小', 4).calls, true, 'in scripts without spaces it may follow a letter');
});

test('the word before the caret of a long text is found in no time', () => {
  const text = `${'x'.repeat(200_000)} ${'y'.repeat(200_000)} @ma`;
  const started = performance.now();
  assert.deepEqual(wordAt(text, text.length), { start: text.length - 3, stem: 'ma', calls: true });
  wordAt(text.slice(0, -3), text.length - 3);
  assert.ok(performance.now() - started < 1000);
});

test('candidates match in any case, once each, at most eight', () => {
  assert.deepEqual(candidates('MA', ['mason', 'ada', 'Mary', 'mason']), ['mason', 'Mary']);
  assert.equal(candidates('', Array.from({ length: 50 }, (_, n) => `n${n}`)).length, 8);
  assert.deepEqual(candidates('x', ['ada']), []);
});

test('completion keeps the text around, and the caret follows', () => {
  assert.deepEqual(complete('hi @ma, ok', 6, 3, 'mason'), { text: 'hi @mason , ok', caret: 10 });
  assert.deepEqual(complete('ma there', 2, 0, 'mason'), { text: '@mason there', caret: 7 });
});
