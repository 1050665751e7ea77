import assert from 'node:assert/strict';
import { test } from 'node:test';

import { changeMessage } from '../../assets/changes.js';
import { Edits, countEdited } from '../../assets/edits.js';
import { answer } from './world.js';

const SECRET = 'AbCdEfGhIjKlMnOpQrSt-_';

/** Returns a log with lines by id, and edits of it. */
function logOf(texts) {
  const lines = new Map(Object.entries(texts).map(([id, text]) => [id, { id, text, sender: 'ada' }]));
  globalThis.document = { getElementById: (id) => (lines.has(id) ? { id } : null) };
  const log = { messageOf: (line) => lines.get(line?.id), draw: (line, message) => lines.set(line.id, message) };
  return { lines, edits: new Edits(log) };
}

test('an edit changes the message, also one that arrives after it', () => {
  const { lines, edits } = logOf({ '1-1': 'one' });
  let changes = 0;
  const holdStill = (change) => change(changes += 1);
  edits.apply({ id: '1-1', text: 'two' }, holdStill);
  edits.apply({ id: '1-1', text: 'two' }, holdStill);
  assert.deepEqual([lines.get('1-1').text, lines.get('1-1').edited, changes], ['two', true, 1], 'once, if it comes twice');
  edits.apply({ id: '9-9', text: 'early' }, holdStill);
  edits.apply({ id: '9-9', text: 'earlier' }, holdStill);
  const late = { id: '9-9', text: 'old', sender: 'ada' };
  assert.deepEqual(edits.latest(late), { ...late, text: 'earlier', edited: true });
  assert.equal(edits.latest({ id: '2-2', text: 'other' }).text, 'other');
  assert.equal(edits.latest({ id: null, text: 'foreign' }).text, 'foreign');
  edits.forget();
  assert.equal(edits.latest(late), late, 'after a gap, what is read is newer');
});

test('edits are remembered up to a bound, the latest ones', () => {
  const { edits } = logOf({});
  for (let count = 0; count < 300; count += 1) edits.apply({ id: `${count}-1`, text: 'new' }, () => {});
  assert.deepEqual(['0-1', '99-1', '100-1', '299-1'].map((id) => edits.latest({ id, text: 'old' }).text), ['old', 'old', 'new', 'new']);
});

test('unread mentions follow what is edited', () => {
  const unread = { ids: ['1-1', '2-2', '3-3'], mention: '2-2' };
  countEdited(unread, '1-1', true);
  assert.equal(unread.mention, '2-2', 'the last one stays');
  countEdited(unread, '3-3', true);
  assert.equal(unread.mention, '3-3');
  countEdited(unread, '3-3', false);
  assert.equal(unread.mention, undefined);
  countEdited(unread, '9-9', true);
  assert.equal(unread.mention, undefined, 'it is read already');
  countEdited(undefined, '1-1', true);
});

test('a change sends the secret in its body only, and says what became of it', async () => {
  const requests = [];
  const change = (response, text) => {
    const fetch = async (path, init) => {
      requests.push({ path, ...init, body: JSON.parse(init.body) });
      if (response instanceof Error) throw response;
      return response;
    };
    return changeMessage({ fetch }, 'café', '1-1', SECRET, text);
  };
  assert.deepEqual(await change(answer(200, {}), 'new'), { done: true });
  assert.deepEqual(await change(answer(200, {})), { done: true });
  assert.deepEqual(requests.map(({ method, path, body }) => [method, path, body]), [
    ['PATCH', '/history/caf%C3%A9/1-1', { secret: SECRET, message: 'new' }],
    ['DELETE', '/history/caf%C3%A9/1-1', { secret: SECRET }],
  ]);
  assert.deepEqual(await change(answer(429, {}, { 'Retry-After': '7' })), { wait: 7 });
  assert.match((await change(answer(403, { detail: 'no' }))).refused, /does not hold the key/);
  assert.match((await change(answer(404, {}))).refused, /no longer kept/);
  assert.equal((await change(answer(422, { detail: 'message: too long' }), 'x')).refused, 'too long');
  assert.match((await change(answer(503, {}))).failed, /cannot do that now/);
  assert.match((await change(new TypeError('network'))).failed, /cannot be reached/);
});
