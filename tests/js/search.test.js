import assert from 'node:assert/strict';
import { test } from 'node:test';

import { findWords, snippet } from '../../assets/search.js';
import { transcriptText } from '../../assets/transcript.js';
import { Walk, walkOn } from '../../assets/walk.js';

const at = (minute) => `${Date.UTC(2026, 10, 25, 14, minute)}-${minute + 1}`;

/** A server that keeps `count` messages, one each minute, and lists at most 200, or none where it is told to fail. */
function history(count) {
  const entries = Array.from({ length: count }, (_, minute) => ({ id: at(minute), sender: 'ada', message: `message ${minute}` }));
  const world = {
    requests: 0,
    failing: false,
    async fetch(path) {
      world.requests += 1;
      if (world.failing) return { ok: false };
      const query = new URLSearchParams(path.split('?')[1]);
      const before = query.get('before');
      const end = before ? entries.findIndex(({ id }) => id === before) : count;
      const messages = entries.slice(Math.max(0, end - query.get('limit')), end);
      return { ok: true, json: async () => ({ messages, first: messages[0]?.id ?? before ?? '0-0', last: entries.at(-1)?.id }) };
    },
  };
  return world;
}

test('a walk reads everything once, newest first', async () => {
  const walk = new Walk(history(450), 'lobby');
  const texts = [];
  const answered = await walkOn(walk, (page) => texts.push(...page.map(({ text }) => text)));
  assert.deepEqual([answered, walk.ended, walk.read, texts.length], [true, true, 450, 450]);
  assert.deepEqual([texts[0], texts[449]], ['message 449', 'message 0']);
});

test('a walk through an empty room ends', async () => {
  const world = history(0);
  assert.equal(await walkOn(new Walk(world, 'lobby'), () => true), true);
  assert.ok(world.requests <= 2);
});

test('a walk stops when it is told to, and goes on from there', async () => {
  const walk = new Walk(history(450), 'lobby');
  await walkOn(walk, () => (walk.stopped = true));
  assert.deepEqual([walk.read, walk.ended], [200, false]);
  await walkOn(walk, () => false);
  assert.equal(walk.read, 400);
});

test('a walk goes on after a failure, without a loss or a repetition', async () => {
  const world = history(450);
  const walk = new Walk(world, 'lobby');
  await walkOn(walk, () => false);
  world.failing = true;
  assert.equal(await walkOn(walk, () => true), false);
  world.failing = false;
  assert.equal(await walkOn(walk, () => true), true);
  assert.equal(walk.read, 450);
});

test('a message is found if it has all words, in any case and form', () => {
  const message = { sender: 'Zoë', text: 'The Café, the STRASSE' };
  const places = (...words) => findWords(message, words).map(([start, end]) => message.text.slice(start, end));
  assert.deepEqual(places('the', 'café'), ['The', 'Café', 'the']);
  assert.deepEqual(places('strasse'), ['STRASSE']);
  assert.deepEqual(places('zoë', 'the'), ['The', 'the']);
  assert.deepEqual(places('zoë'), ['']);
  assert.deepEqual(places('the', 'tea'), []);
  assert.deepEqual(findWords({ sender: 'a', text: 'cafe\u0301' }, ['café']), [[0, 5]]);
});

test('a snippet shows what was found', () => {
  const text = `${'x '.repeat(100)}here ${'y '.repeat(200)}`;
  const pieces = snippet(text, [[200, 204]]);
  assert.deepEqual(pieces.filter(([, found]) => found), [['here', true]]);
  const shown = pieces.map(([piece]) => piece).join('');
  assert.ok(shown.length < 170 && shown.startsWith('…') && shown.endsWith('…'), shown);
  assert.deepEqual(snippet('here', [[0, 4]]), [['here', true]]);
  assert.deepEqual(snippet('only the sender', [[0, 0]]), [['only the sender', false]]);
});

test('no line of a message passes for another message in a transcript', () => {
  const messages = [
    { id: at(0), sender: 'ada', text: 'one\n[2026-11-25 14:01:00 UTC] bob: two\u0007' },
    { id: at(1), sender: 'b\nob', text: 'three' },
  ];
  const facts = { now: new Date(Date.UTC(2026, 10, 26)), origin: 'https://chat.example', cut: true };
  assert.equal(
    transcriptText('lobby', messages, facts),
    `#lobby on https://chat.example
2 messages, saved 2026-11-26 00:00:00 UTC
(Earlier messages are left out.)

[2026-11-25 14:00:00 UTC] ada: one
    [2026-11-25 14:01:00 UTC] bob: two\ufffd
[2026-11-25 14:01:00 UTC] b ob: three
`,
  );
});
