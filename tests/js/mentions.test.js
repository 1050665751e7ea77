import assert from 'node:assert/strict';
import { test } from 'node:test';

import { tokenizeFor } from '../../assets/markup.js';
import { findMentions, isMention, loadCommonWords } from '../../assets/mentions.js';

const found = (text, name) => findMentions(text, name).map(([start, end]) => text.slice(start, end));

test('a mention is a whole word in any case, with or without @', () => {
  for (const text of ['ada', '@ada: hi', 'hello ADA!', 'so,Ada.', '(ada)', 'Ada’s', "d'Ada", '**ada**', 'ada\nada', '@ada@bob']) {
    assert.notEqual(found(text, 'ada').length, 0, text);
  }
  for (const text of ['adam', 'Canada', 'ada_1', 'ada2', '', 'adá', 'ada\u0301', 'mail@ada', 'ⓐda']) {
    assert.deepEqual(found(text, 'ada'), [], text);
  }
  assert.deepEqual(found('c++ (the (one)', 'c++ (the'), ['c++ (the']);
  assert.deepEqual(found('anybody', '  '), []);
});

test('a name in an address, in code or after # is no mention', () => {
  for (const text of [
    'https://ada.example/ada?ada#ada',
    'http://ada:ada@a.example',
    'mailto:ada@b.example',
    'ada@b.example',
    'bob@ada.example',
    'www.ada.example',
    'ftp://ada.example/ada',
    '`ada`',
    '```\nada\n```',
    '#ada',
    '#ada-1 #ada.',
    '##ada',
  ]) {
    assert.deepEqual(found(text, 'ada'), [], text);
  }
  assert.deepEqual(found('#fff', 'fff'), [], 'a colour');
  assert.deepEqual(found('https://ada.example `ada` ada', 'ada'), ['ada']);
});

test('names in scripts without spaces are found', () => {
  for (const [text, name] of [
    ['我找小李吃饭', '小李'],
    ['小李，你好', '小李'],
    ['今天王芳去北京', '王芳'],
    ['明日は田中さんと会う', '田中'],
    ['สวัสดีมานีครับ', 'มานี'],
    ['我找ada吃饭', 'ada'],
    ['你好@小李吃饭了', '小李'],
  ]) {
    assert.equal(found(text, name).length, 1, text);
  }
});

test('without a segmenter, scripts without spaces end words anywhere', () => {
  const { Segmenter } = Intl;
  delete Intl.Segmenter;
  try {
    assert.deepEqual(found('我找小李吃饭', '小李'), ['小李']);
    assert.deepEqual(found('Canada adam', 'ada'), []);
  } finally {
    Intl.Segmenter = Segmenter;
  }
});

test('names are compared after NFC and case folding', () => {
  for (const [text, name] of [
    ['hi zoe\u0308!', 'Zoë'],
    ['hi Zoë!', 'zoe\u0308'],
    ['STRASSE', 'straße'],
    ['Straße', 'strasse'],
    ['ΟΔΥΣΣΕΎΣ', 'Οδυσσεύς'],
    ['민수 왔어', '민수'.normalize('NFD')],
    ['민수 왔어'.normalize('NFD'), '민수'],
    ['привет, Зоя', 'зоя'],
    ['hi A\u030angstro\u0308m', '\u212bngström'],
  ]) {
    assert.equal(found(text, name).length, 1, `${text} ${name}`);
  }
  assert.deepEqual(found('x zoe\u0308 y', 'Zoë'), ['zoe\u0308'], 'at its place in the text as it is');
});

test('what is marked is what is found', () => {
  for (const text of ['@Ada ada, adam `ada` ada', 'ada', 'https://a.example/ada ada']) {
    const marked = tokenizeFor(text, 'ada').filter(({ kind }) => kind === 'me').map((token) => token.text);
    assert.deepEqual(marked, found(text, 'ada'), text);
  }
});

test('a name that is a common word needs an @', async () => {
  assert.equal(await isMention('hi ada', 'ada'), true);
  assert.equal(await isMention('hi john', 'John'), true);
  for (const name of ['the', 'Will', 'und', 'être', 'Être'.normalize('NFD'), 'para', 'groß']) {
    assert.equal(await isMention(`I ${name} go`, name), false, name);
    assert.equal(await isMention(`hi @${name}, go`, name), true, name);
  }
  assert.equal(await isMention('the end will come', 'the end'), true, 'two words');
  assert.equal(await loadCommonWords('ada'), false);
});

test('long texts are searched in time that grows with them', () => {
  const started = performance.now();
  for (const text of ['小李'.repeat(2000), 'ada '.repeat(1000), 'a'.repeat(4000), '@'.repeat(4000), 'ada@'.repeat(1000)]) {
    for (const name of ['ada', '小李', 'a']) findMentions(text, name);
  }
  const took = performance.now() - started;
  assert.ok(took < 5000, `${took} ms`); // a busy machine needs a third
});
