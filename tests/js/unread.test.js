import assert from 'node:assert/strict';
import { test } from 'node:test';

import { UnreadCounts, mentions } from '../../assets/unread.js';

test('a mention is a whole word in any case, with or without @', () => {
  for (const text of ['ada', '@ada: hi', 'hello ADA!', 'so,Ada.', '(ada)']) assert.ok(mentions(text, 'ada'), text);
  for (const text of ['adam', 'Canada', 'ada_1', 'ada2', '']) assert.ok(!mentions(text, 'ada'), text);
  assert.ok(mentions('привет, Зоя', 'зоя'));
  assert.ok(mentions('c++ (the (one)', 'c++ (the'));
  assert.ok(!mentions('anybody', '  '));
});

test('replayed messages count once, read ones not at all', () => {
  const counts = new UnreadCounts({});
  counts.markRead('a', '1-1');
  for (const id of ['1-1', '2-2', '2-2', '3-3', '2-2']) counts.count('a', id, id === '3-3');
  assert.deepEqual(counts.list(), [['a', 2, true]]);
  counts.markRead('a', '2-2');
  assert.deepEqual(counts.list(), [['a', 1, true]]);
  counts.markRead('a', '3-3');
  assert.deepEqual(counts.list(), [['a', 0, false]]);
  assert.equal(counts.count('a', '3-3', false), false);
});

test('counts survive JSON and go on from there', () => {
  const before = new UnreadCounts({});
  before.count('a', '1-1', true);
  const after = new UnreadCounts(JSON.parse(JSON.stringify(before.rooms)));
  after.count('a', '2-2', false);
  assert.deepEqual(after.list(), [['a', 2, true]]);
});

test('unread messages are counted up to a hundred', () => {
  const counts = new UnreadCounts({});
  for (let n = 1; n <= 250; n += 1) counts.count('a', `1-${n}`, false);
  assert.deepEqual(counts.list(), [['a', 100, false]]);
});
