import assert from 'node:assert/strict';
import { test } from 'node:test';

import { UnreadCounts } from '../../assets/unread.js';

test('replayed messages count once, read ones not at all', () => {
  const counts = new UnreadCounts({});
  counts.markRead('a', '1-1');
  for (const id of ['1-1', '2-2', '2-2', '3-3', '2-2']) counts.count('a', id);
  counts.markMention('a', '3-3');
  assert.deepEqual(counts.list(), [['a', 2, true]]);
  counts.markRead('a', '2-2');
  assert.deepEqual(counts.list(), [['a', 1, true]]);
  counts.markRead('a', '3-3');
  assert.deepEqual(counts.list(), [['a', 0, false]]);
  assert.equal(counts.count('a', '3-3'), false);
  counts.markMention('a', '3-3');
  assert.deepEqual(counts.list(), [['a', 0, false]], 'a mention that was read meanwhile');
});

test('counts survive JSON and go on from there', () => {
  const before = new UnreadCounts({});
  before.count('a', '1-1');
  before.markMention('a', '1-1');
  const after = new UnreadCounts(JSON.parse(JSON.stringify(before.rooms)));
  after.count('a', '2-2');
  assert.deepEqual(after.list(), [['a', 2, true]]);
});

test('all unread messages are counted, and few ids remembered', () => {
  const counts = new UnreadCounts({});
  counts.markRead('a', '1-50');
  for (let n = 51; n <= 1050; n += 1) counts.count('a', `1-${n}`);
  assert.deepEqual(counts.list(), [['a', 1000, false]]);
  assert.ok(JSON.stringify(counts.rooms).length < 1000);
  counts.forget('a', { id: '1-60' });
  counts.forget('a', { id: '1-1040' });
  counts.forget('a', { id: '1-50' });
  assert.deepEqual(counts.list(), [['a', 998, false]], 'a read one does not count');
  counts.markRead('a', '1-900');
  assert.deepEqual(counts.list(), [['a', 149, false]]);
  counts.forget('a', { upTo: '1-1049' });
  assert.deepEqual(counts.list(), [['a', 1, false]]);
  counts.markRead('a', '1-1050');
  assert.deepEqual(counts.list(), [['a', 0, false]]);
});
