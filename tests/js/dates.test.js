import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dayName, formatFull, isContinuation, isSameDay } from '../../assets/dates.js';

const at = (...parts) => new Date(...parts);
const noon = at(2024, 5, 12, 12);

test('today is Today from its first to its last moment', () => {
  assert.equal(dayName(at(2024, 5, 12, 0, 0, 0), noon), 'Today');
  assert.equal(dayName(at(2024, 5, 12, 23, 59, 59), noon), 'Today');
});

test('the day before is Yesterday, also a minute after midnight', () => {
  assert.equal(dayName(at(2024, 5, 11, 23, 59), at(2024, 5, 12, 0, 1)), 'Yesterday');
  assert.equal(dayName(at(2024, 1, 29, 8), at(2024, 2, 1, 9)), 'Yesterday');
  assert.equal(dayName(at(2023, 11, 31, 8), at(2024, 0, 1, 9)), 'Yesterday');
});

test('an earlier day has its date, with the year if it is another', () => {
  assert.match(dayName(at(2024, 5, 9), noon), /9/);
  assert.doesNotMatch(dayName(at(2024, 5, 9), noon), /2024/);
  assert.match(dayName(at(2021, 5, 9), noon), /2021/);
});

test('the full time has seconds', () => {
  assert.match(formatFull(at(2024, 5, 12, 10, 20, 37)), /37/);
});

test('messages within five minutes are grouped, later ones not', () => {
  const first = { sender: 'ada', mine: false, at: noon };
  const after = (ms) => ({ ...first, at: new Date(+noon + ms) });
  assert.equal(isContinuation(first, after(299_999)), true);
  assert.equal(isContinuation(first, after(300_000)), false);
});

test('another sender, day or namesake begins a new group', () => {
  const late = at(2024, 5, 12, 23, 59);
  const first = { sender: 'ada', mine: true, at: late };
  assert.equal(isContinuation(first, { ...first, sender: 'bob' }), false);
  assert.equal(isContinuation(first, { ...first, mine: false }), false);
  assert.equal(isContinuation(first, { ...first, at: at(2024, 5, 13, 0, 1) }), false);
  assert.equal(isContinuation(undefined, first), false);
});
