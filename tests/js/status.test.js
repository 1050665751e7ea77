import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sentence } from '../../assets/status.js';

test('the status line names the node and the reason', () => {
  assert.equal(sentence('live', 'chat-1'), 'Live on chat-1');
  assert.equal(sentence('reconnecting', 'chat-1', 'full'), 'chat-1 is full; trying again soon…');
  assert.equal(sentence('reconnecting', 'chat-1', 'toString'), 'Lost chat-1; reconnecting…');
});
