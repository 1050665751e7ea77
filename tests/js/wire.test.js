import assert from 'node:assert/strict';
import { test } from 'node:test';

import { START, isAfter } from '../../assets/wire.js';

test('ids are ordered by time, then by number, and not as text', () => {
  const ids = ['0-0', '9-9', '10-1', '10-2', '10-10', '1361572294000-3'];
  for (const [index, id] of ids.entries()) {
    for (const [other, cursor] of ids.entries()) assert.equal(isAfter(id, cursor), index > other, `${id} after ${cursor}`);
  }
  for (const unknown of ['', undefined, null]) assert.equal(isAfter(START, unknown), true);
});
