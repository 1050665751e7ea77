import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const FOLDER = new URL('../../assets/', import.meta.url);
const modules = readdirSync(FOLDER).filter((file) => file.endsWith('.js'));
const source = (file) => readFileSync(new URL(file, FOLDER), 'utf8');

/** Returns the modules that a module imports: before it runs, later, or for types. load.js only lists what others load. */
const imports = (file) => {
  const named = source(file).matchAll(/from '\.\/([\w-]+)\.js'|\bload\('([\w-]+)'\)|^import '\.\/([\w-]+)\.js'/gm);
  return [...named].map((found) => `${found.slice(1).find(Boolean)}.js`);
};

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

// A failed import() is remembered by browsers, and what it was to load is not in a script of its own.
test('what comes later is loaded by load()', () => {
  for (const file of modules) if (file !== 'load.js') assert.doesNotMatch(source(file), /(?<!typeof )import\(/, file);
});
