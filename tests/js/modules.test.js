import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const FOLDER = new URL('../../assets/', import.meta.url);
const modules = readdirSync(FOLDER).filter((file) => file.endsWith('.js'));
const source = (file) => readFileSync(new URL(file, FOLDER), 'utf8');

/** Returns the modules that a module imports: before it runs, later, or for types. */
const imports = (file) => [...source(file).matchAll(/(?:from|import\() ?'\.\/([\w-]+\.js)'/g)].map(([, name]) => name);

test('no modules import each other, directly or in a circle', () => {
  const visit = (file, path) => {
    assert.ok(!path.includes(file), [...path, file].join(' → '));
    for (const imported of imports(file)) visit(imported, [...path, file]);
  };
  for (const file of modules) visit(file, []);
});

test('every module begins with a comment', () => {
  for (const file of modules) assert.match(source(file), /^\/\*\*\n \* [A-Z]/, file);
});

test('the map in page.js names every module', () => {
  const map = source('page.js').split('*/')[0];
  for (const file of modules) assert.ok(map.includes(file), file);
});
