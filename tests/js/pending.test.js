import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describe } from '../../assets/pending.js';

test('a failed message shows its reason and three actions', () => {
  const { text, actions } = describe({ state: 'failed', reason: 'Too long.' });
  assert.match(text, /Too long\./);
  assert.deepEqual(actions, ['Retry', 'Edit', 'Discard']);
});

test('a waiting message counts down, to no less than a second', () => {
  assert.match(describe({ state: 'waiting', until: 5000 }, 2100).text, /3 s/);
  assert.match(describe({ state: 'waiting', until: 5000 }, 6000).text, /1 s/);
  assert.match(describe({ state: 'waiting' }, 0).text, /soon/);
});

test('an unsure message asks whether to send again', () => {
  assert.deepEqual(describe({ state: 'unsure' }).actions, ['Send again', 'Edit', 'Discard']);
});

test('a message that is being sent has no actions', () => {
  assert.deepEqual(describe({ state: 'sending' }).actions, []);
});
