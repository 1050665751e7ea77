import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describe, summary } from '../../assets/pending.js';

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
  const { text, actions } = describe({ state: 'unsure', reason: 'the server cannot say' });
  assert.equal(text, 'Not sure it was sent: the server cannot say.');
  assert.deepEqual(actions, ['Send again', 'Edit', 'Discard']);
});

test('a message that is being sent has no actions', () => {
  assert.deepEqual(describe({ state: 'sending' }).actions, []);
});

test('one sentence sums up what waits, and not what needs the user', () => {
  const [queued, sending, failed] = ['queued', 'sending', 'failed'].map((state) => ({ state }));
  assert.deepEqual(summary([queued, failed, sending]), { text: '2 waiting to be sent', when: '' });
  assert.deepEqual(summary([{ state: 'waiting', until: 5000 }, queued], 2100), { text: '2 waiting to be sent', when: 'in 3 s' });
  assert.deepEqual(summary([sending]), { text: 'Sending…', when: '' });
  assert.deepEqual(summary([failed, { state: 'unsure' }]), { text: '', when: '' });
});
