import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidates, completed, word } from '../../assets/complete.js';
import { standing } from '../../assets/pending.js';
import { count, recalled } from '../../assets/writing.js';

test('the counter speaks only near the limit, and never of less than is there', () => {
  assert.equal(count('x'.repeat(3599)), '');
  assert.equal(count('x'.repeat(3600)), '400 left');
  assert.equal(count('👋'.repeat(4000)), '0 left');
  assert.equal(count('x'.repeat(4012)), '12 too many');
});

const said = ['one', 'two', 'three'];

test('ArrowUp goes back through what was said, and stops at the first', () => {
  assert.equal(recalled('ArrowUp', '', said), 'three');
  assert.equal(recalled('ArrowUp', 'three', said), 'two');
  assert.equal(recalled('ArrowUp', 'one', said), null);
});

test('ArrowDown goes forward again, and ends at the empty box', () => {
  assert.equal(recalled('ArrowDown', 'two', said), 'three');
  assert.equal(recalled('ArrowDown', 'three', said), '');
  assert.equal(recalled('ArrowDown', '', said), null);
});

test('nothing is recalled where nothing was said, or by another key', () => {
  assert.equal(recalled('ArrowUp', '', []), null);
  assert.equal(recalled('a', '', said), null);
  assert.equal(recalled('ArrowUp', 'something else', said), null);
});

test('the word before the caret is found, and whether it calls', () => {
  assert.deepEqual(word('hi @ma', 6), { start: 3, stem: 'ma', calls: true });
  assert.deepEqual(word('hi ma', 5), { start: 3, stem: 'ma', calls: false });
  assert.deepEqual(word('@', 1), { start: 0, stem: '', calls: true });
  assert.deepEqual(word('hi @ma there', 6), { start: 3, stem: 'ma', calls: true });
});

test('the @ of a mail address calls nobody', () => {
  assert.equal(word('write to me@ex', 14).calls, false);
});

test('candidates begin so in any case, count once, and are not too many', () => {
  assert.deepEqual(candidates('MA', ['mason', 'ada', 'Mary', 'mason']), ['mason', 'Mary']);
  assert.equal(candidates('', Array.from({ length: 50 }, (_, n) => `n${n}`)).length, 8);
  assert.deepEqual(candidates('x', ['ada']), []);
});

test('a completed name keeps what stands around it and puts the caret after it', () => {
  assert.deepEqual(completed('hi @ma, ok', 6, 3, 'mason'), { text: 'hi @mason , ok', caret: 10 });
  assert.deepEqual(completed('ma there', 2, 0, 'mason'), { text: '@mason there', caret: 7 });
});

test('a failed message tells its reason and offers to retry, to edit and to discard it', () => {
  const { says, offers } = standing({ state: 'failed', reason: 'Too long.' });
  assert.match(says, /Too long\./);
  assert.deepEqual(offers, ['Retry', 'Edit', 'Discard']);
});

test('a message that waits for its turn counts down and never to less than a second', () => {
  assert.match(standing({ state: 'waiting', until: 5000 }, 2100).says, /3 s/);
  assert.match(standing({ state: 'waiting', until: 5000 }, 6000).says, /1 s/);
  assert.match(standing({ state: 'waiting' }, 0).says, /soon/);
});

test('an unsure message asks', () => {
  assert.deepEqual(standing({ state: 'unsure' }).offers, ['Send again', 'Edit', 'Discard']);
});

test('what is under way offers nothing', () => {
  assert.deepEqual(standing({ state: 'sending' }).offers, []);
});
