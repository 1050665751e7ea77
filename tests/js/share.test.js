import assert from 'node:assert/strict';
import { test } from 'node:test';

import { qrPath } from '../../assets/share.js';
import { encode } from '../../assets/uqr/uqr.js';

/** Returns the cells that a path of runs covers. */
function cellsOf(path, size) {
  const rows = Array.from({ length: size }, () => Array(size).fill(false));
  for (const [, x, y, width] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) rows[y].fill(true, +x, +x + +width);
  return rows;
}

test('a QR code is drawn cell by cell, with its quiet zone', () => {
  const { data, size } = encode('http://chat.example/caf%C3%A9#1361572294000-42', { border: 4 });
  assert.deepEqual(cellsOf(qrPath(data), size), data);
  assert.ok(data.slice(0, 4).flat().every((dark) => !dark));
  assert.equal(qrPath([[true, true], [false, true]]), 'M0 0h2v1h-2zM1 1h1v1h-1z');
});
