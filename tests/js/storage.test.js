import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openStorage } from '../../assets/storage.js';

test('without storage, values last as long as the page', () => {
  const denied = {
    get localStorage() {
      throw new Error('denied');
    },
  };
  const kept = new Map();
  const full = {
    getItem: (key) => kept.get(key) ?? null,
    removeItem: (key) => kept.delete(key),
    setItem() {
      throw new Error('full');
    },
  };
  for (const world of [denied, {}, { localStorage: full }]) {
    const storage = openStorage(world);
    assert.equal(storage.get('draft'), '');
    storage.set('draft', 'half a sen');
    storage.set('out:1', '{"at":1}');
    assert.equal(storage.get('draft'), 'half a sen');
    assert.equal(openStorage(world).get('draft'), 'half a sen', 'for all modules of the page');
    assert.deepEqual(storage.records('out:'), [{ at: 1 }]);
    storage.remove('draft');
    assert.equal(storage.get('draft'), '');
  }
});

test('a full storage does not return an older value', () => {
  const kept = new Map([['tiny-chat:draft', 'old']]);
  const full = {
    getItem: (key) => kept.get(key) ?? null,
    removeItem: (key) => kept.delete(key),
    setItem() {
      throw new Error('full');
    },
  };
  const storage = openStorage({ localStorage: full });
  storage.set('draft', 'new');
  assert.equal(storage.get('draft'), 'new');
});
