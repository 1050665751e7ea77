import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isSameDay } from '../../assets/dates.js';
import { untilMidnight } from '../../assets/day-headings.js';

test('the day ends at midnight', () => {
  const now = new Date(2024, 5, 12, 23, 59, 58, 500);
  assert.equal(untilMidnight(now), 1500);
  assert.ok(!isSameDay(now, new Date(+now + untilMidnight(now))));
});
