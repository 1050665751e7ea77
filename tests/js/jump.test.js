import assert from 'node:assert/strict';
import { test } from 'node:test';

import { filterRooms } from '../../assets/jump.js';

const rooms = ['everyone', 'Garden', 'kindergarten', 'café'].map((name) => ({ name }));
const found = (typed) => filterRooms(rooms, typed).map(({ name }) => name).join();

test('rooms are found by any part of their name', () => {
  assert.equal(found(''), 'everyone,Garden,kindergarten,café');
  assert.equal(found('GARD'), 'Garden');
  assert.equal(found(' #gar'), 'Garden,kindergarten');
  assert.equal(found('e'), 'everyone,Garden,kindergarten');
  assert.equal(found('cafe\u0301'), 'café');
  assert.equal(found('attic'), '');
});
