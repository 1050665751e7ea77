import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { hueOf, initialOf } from '../../assets/hue.js';

/** The same examples test src/web/faces.rs. */
const FACES = JSON.parse(readFileSync(new URL('faces.json', import.meta.url), 'utf8'));

test('each name has its hue and initial', () => {
  for (const [name, hue, initial] of FACES) assert.deepEqual([hueOf(name), initialOf(name)], [hue, initial], name);
});
