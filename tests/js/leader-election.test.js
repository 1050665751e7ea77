import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LeaderElection } from '../../assets/leader-election.js';
import { openStorage } from '../../assets/storage.js';
import { clock } from './clock.js';

test('an expired lease is free, and so is one from the future', () => {
  clock.stop(10_000_000);
  try {
    for (const [since, free] of [[9_999_000, false], [9_900_000, true], [20_000_000, true]]) {
      const storage = openStorage({});
      storage.set('leader', `other ${since}`);
      const election = new LeaderElection({ addEventListener() {} }, storage, 'me', false, () => {});
      election.campaign();
      assert.equal(election.leading, free, `since ${since}`);
    }
  } finally {
    clock.release();
  }
});

test('a leader whose lease another tab holds gives way', () => {
  const storage = openStorage({});
  const changes = [];
  const election = new LeaderElection({ addEventListener() {} }, storage, 'me', false, (leading) => changes.push(leading));
  election.campaign();
  election.renew();
  storage.set('leader', `other ${Date.now()}`);
  election.renew();
  election.resign();
  assert.deepEqual(changes, [true, false]);
  assert.ok(storage.get('leader').startsWith('other '));
});
