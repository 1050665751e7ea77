import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continues, dayName, full, sameDay } from '../../assets/days.js';
import { untilMidnight } from '../../assets/reading.js';

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

test('an earlier day has its date, with the year when it is another', () => {
  assert.match(dayName(at(2024, 5, 9), noon), /9/);
  assert.doesNotMatch(dayName(at(2024, 5, 9), noon), /2024/);
  assert.match(dayName(at(2021, 5, 9), noon), /2021/);
});

test('the day flips at midnight', () => {
  const now = at(2024, 5, 12, 23, 59, 58, 500);
  assert.equal(untilMidnight(now), 1500);
  assert.ok(!sameDay(now, new Date(+now + untilMidnight(now))));
});

test('seconds are told on demand', () => {
  assert.match(full(at(2024, 5, 12, 10, 20, 37)), /37/);
});

test('the same sender goes on within five minutes, and not later', () => {
  const first = { sender: 'ada', mine: false, at: noon };
  const after = (ms) => ({ ...first, at: new Date(+noon + ms) });
  assert.equal(continues(first, after(299_999)), true);
  assert.equal(continues(first, after(300_000)), false);
});

test('another sender, another day, another person of my name, or nobody before: a new start', () => {
  const late = at(2024, 5, 12, 23, 59);
  const first = { sender: 'ada', mine: true, at: late };
  assert.equal(continues(first, { ...first, sender: 'bob' }), false);
  assert.equal(continues(first, { ...first, mine: false }), false);
  assert.equal(continues(first, { ...first, at: at(2024, 5, 13, 0, 1) }), false);
  assert.equal(continues(undefined, first), false);
});
