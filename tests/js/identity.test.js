import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sharedNames } from '../../assets/faces.js';
import { earlierIdentities, identityLink, ownIdentity, secretOf, useIdentity } from '../../assets/identities.js';
import { lettersOf, patternOf } from '../../assets/mark.js';
import { leakProblem } from '../../assets/leak.js';
import { ownSecret, takeIdentity } from '../../assets/secret.js';
import { openStorage } from '../../assets/storage.js';

const SECRET = 'AbCdEfGhIjKlMnOpQrSt-_';
const MARK = '00112233445566778899aabbccddeeff';

/** Returns a window at an address that records what replaces it. */
function windowAt(address) {
  const replaced = [];
  const history = { state: 'kept', replaceState: (...entry) => replaced.push(entry) };
  return { location: new URL(address), history, replaced };
}

test('a secret is made once, of 128 bits, also where storage is denied', () => {
  const storage = openStorage({});
  const secret = ownSecret(storage);
  assert.match(secret, /^[\w-]{22}$/);
  assert.equal(ownSecret(storage), secret);
  assert.equal(storage.get('secret'), secret);
  const others = new Set(Array.from({ length: 100 }, () => ownSecret(openStorage({}))));
  assert.equal(others.size, 100);
});

test('an identity leaves the address and the history as it is read', () => {
  for (const [hash, expected] of [
    [`#me=${SECRET}`, { secret: SECRET, mark: '' }],
    [`#me=${SECRET}.${MARK}`, { secret: SECRET, mark: MARK }],
    [`#me=${SECRET}.${MARK.toUpperCase()}`, null],
    [`#me=${SECRET}x`, { secret: `${SECRET}x`, mark: '' }], // made by another client
    ['#me=too-short', null],
    [`#me=${SECRET}/../x`, null],
    ['#me=', null],
  ]) {
    const world = windowAt(`http://chat.example/lobby?a=1${hash}`);
    assert.deepEqual(takeIdentity(world), expected, hash);
    assert.deepEqual(world.replaced, [['kept', '', '/lobby?a=1']], hash);
  }
  const world = windowAt('http://chat.example/lobby#1-1');
  assert.deepEqual([takeIdentity(world), world.replaced], [null, []]);
});

test('letters and patterns of a mark are its own', () => {
  assert.deepEqual(['0', '0000001a', '12345678', 'ffffffff'].map((start) => lettersOf(start.padEnd(32, '0'))), [
    'aaaaaa', 'abaaaa', 'cpcjsz', 'vxlrmx',
  ]);
  assert.equal(patternOf(MARK.replace('4455', '0000')), '');
  assert.equal(patternOf(MARK.replace('4455', '0001')), 'M0 0h1v1h-1zM4 0h1v1h-1z');
  assert.equal(patternOf(MARK.replace('4455', '4000')), 'M2 4h1v1h-1z');
  assert.notEqual(patternOf(MARK), patternOf(MARK.replace('4455', '4456')));
});

test('another identity is used only when asked, and each before it can be taken back', () => {
  const storage = openStorage({});
  const first = ownSecret(storage);
  storage.set('mark', MARK);
  useIdentity(storage, { secret: SECRET, mark: '' });
  assert.deepEqual(ownIdentity(storage), { secret: SECRET, mark: '' });
  assert.equal(ownSecret(storage), SECRET, 'what is posted carries it');
  assert.deepEqual(earlierIdentities(storage), [{ secret: first, mark: MARK }]);
  assert.deepEqual([secretOf(storage, MARK), secretOf(storage, 'ff'), secretOf(storage, '')], [first, '', '']);
  useIdentity(storage, earlierIdentities(storage)[0]);
  assert.deepEqual(ownIdentity(storage), { secret: first, mark: MARK });
  assert.deepEqual(earlierIdentities(storage), [{ secret: SECRET, mark: '' }], 'the same identity is kept once');
  for (let count = 0; count < 20; count += 1) useIdentity(storage, { secret: `${count}`.padStart(22, 'x'), mark: '' });
  assert.equal(earlierIdentities(storage).length, 8);
});

test('the link of an identity is what takes it over', () => {
  for (const mark of ['', MARK]) {
    const link = identityLink({ secret: SECRET, mark }, 'http://chat.example/lobby');
    assert.deepEqual(takeIdentity(windowAt(link)), { secret: SECRET, mark });
  }
});

test('a name is shared by two marks, or by a mark and none', () => {
  const other = MARK.replace('0', 'f');
  const people = (...pairs) => [...sharedNames(pairs.map(([sender, mark]) => ({ sender, mark })))];
  assert.deepEqual(people(['ada', MARK], ['ada', MARK], ['mason', other]), []);
  assert.deepEqual(people(['ada', MARK], ['mason', MARK], [' Ada', other]), ['ada']);
  assert.deepEqual(people(['ada', MARK], ['ada', undefined], ['ada', MARK]), ['ada']);
  assert.deepEqual(people(['ada', undefined], ['ada', undefined]), []);
});

test('a text that would give the secret away is not sent', () => {
  const storage = openStorage({});
  assert.equal(leakProblem(storage, 'anything'), '');
  const link = identityLink({ secret: ownSecret(storage), mark: MARK }, 'http://chat.example/lobby');
  assert.match(leakProblem(storage, `come here: ${link}`), /key of your identity/);
  assert.equal(leakProblem(storage, `another's: #me=${SECRET}`), '');
});
