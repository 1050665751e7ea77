import assert from 'node:assert/strict';
import { test } from 'node:test';

import { duration, mark, number, parts, text } from '../../assets/dashboard/format.js';
import { deletion, frameReader, isEntry, parseFrame } from '../../assets/dashboard/frames.js';

test('numbers have about three digits and their unit', () => {
  const shown = [0, 3, 0.0123, 0.5, 2.345, 12.34, 345.6, 2000, 12345, 3.2e6].map((value) => number(value));
  assert.deepEqual(shown, ['0', '3', '0.012', '0.50', '2.35', '12.3', '346', '2,000', '12.3 k', '3.20 M']);
  assert.deepEqual(parts(null, 'rate'), ['–', '']);
  assert.deepEqual([text(28.97, 'count'), text(0.5, 'rate'), mark(0.5, 'rate')], ['29', '0.50/s', '0.5/s']);
  assert.deepEqual([text(1500, 'ms'), text(42e6, 'bytes'), text(3.5e9, 'bytes')], ['1.50 s', '42 MB', '3.50 GB']);
  assert.deepEqual([12_000, 61_000, 7_300_000, 200_000_000].map(duration), ['12 s', '1 min', '2 h', '2 d']);
});

test('a stream is cut into its frames wherever it is split, and each stays as it was sent', () => {
  const frames = ['retry:2000\nid: 0-0\nevent: status\ndata: {"live":true}', 'id: 5-1\ndata: {"message":"a"}', 'event: x\ndata:  two\ndata: lines'];
  const stream = frames.map((frame) => `${frame}\n\n`).join('');
  for (let at = 0; at <= stream.length; at++) {
    const read = frameReader();
    const all = [...read(stream.slice(0, at)), ...read(stream.slice(at))];
    assert.deepEqual(all.map((frame) => frame.text), frames, `split at ${at}`);
  }
  const [opening, message, typed] = frames.map(parseFrame);
  assert.deepEqual([opening.retry, opening.id, opening.event], [2000, '0-0', 'status']);
  assert.equal(typed.data, ' two\nlines');
  assert.deepEqual([opening, message, typed].map(isEntry), [false, true, false], 'only what has an id of its own');
});

test('a deletion names an entry or all', () => {
  const deleted = (data) => deletion(parseFrame(`id: 9-9\nevent: delete\ndata: ${data}`));
  assert.equal(deleted('{"id":"5-1"}').id, '5-1');
  assert.equal(deleted('{"all":true}').all, true);
  assert.deepEqual(deleted('nonsense'), {});
  assert.deepEqual(deletion(parseFrame('id: 9-9\ndata: {"id":"5-1"}')), {});
});
