import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tokenizeFor } from '../../assets/markup.js';
import { roomPath, suggestRoom } from '../../assets/tokens.js';

const tokenize = (text, name = '') => tokenizeFor(text, name);
const links = (text) => tokenize(text).filter(({ kind }) => kind === 'link').map(({ href }) => href);
const kinds = (text, name) => tokenize(text, name).map(({ kind, text: part }) => [kind, part]);
const shown = (text, name) => tokenize(text, name).map((token) => token.text).join('');

/** The same examples test src/chat/room.rs. */
const SUGGESTIONS = JSON.parse(readFileSync(new URL('room-suggestions.json', import.meta.url), 'utf8'));

test('plain text is one token', () => {
  assert.deepEqual(kinds('hello <b>you</b>'), [['text', 'hello <b>you</b>']]);
});

test('an empty text has no tokens', () => {
  assert.deepEqual(tokenize(''), []);
});

test('only http, https and mailto become links', () => {
  assert.deepEqual(links('http://a.example https://b.example/x mailto:a@b.example'), [
    'http://a.example',
    'https://b.example/x',
    'mailto:a@b.example',
  ]);
  for (const other of ['javascript:alert(1)', 'data:text/html,x', 'ftp://a.example', 'file:///etc', 'vbscript:x', 'blob:x']) {
    assert.deepEqual(links(other), [], other);
  }
});

test('a scheme in capitals is a scheme', () => {
  assert.deepEqual(links('HTTPS://A.example'), ['HTTPS://A.example']);
});

test('a scheme within a word does not begin a link', () => {
  assert.deepEqual(links('xhttp://a.example'), []);
});

test('an incomplete address is text', () => {
  for (const text of ['http://', 'http://.', 'https://)', 'mailto:', 'mailto:nobody', 'http://[']) {
    assert.deepEqual(kinds(text), [['text', text]]);
  }
});

test('punctuation after an address is not part of it', () => {
  for (const end of ['.', ',', ';', ':', '!', '?', '…', '?!', '."', "'.", '**', '’']) {
    assert.deepEqual(links(`see https://a.example/b${end}`), ['https://a.example/b'], end);
    assert.equal(shown(`see https://a.example/b${end}`), `see https://a.example/b${end}`);
  }
});

test('punctuation within an address is part of it', () => {
  const address = 'https://a.example/b,c;d:e!f?g=h.i&j=k#l-m_';
  assert.deepEqual(links(`${address}.`), [address]);
});

test('a bracket belongs to an address that opened it', () => {
  assert.deepEqual(links('(https://en.example/wiki/Rust_(language))'), ['https://en.example/wiki/Rust_(language)']);
  assert.deepEqual(links('[https://a.example/x]'), ['https://a.example/x']);
  assert.deepEqual(links('[here](https://a.example/x).'), ['https://a.example/x']);
  assert.deepEqual(links('{https://a.example/{x}}'), ['https://a.example/{x}']);
});

test('angle brackets and quotes end an address', () => {
  assert.deepEqual(links('<https://a.example/x> "https://b.example" “https://c.example”'), [
    'https://a.example/x',
    'https://b.example',
    'https://c.example',
  ]);
});

test('Chinese and Japanese punctuation ends an address', () => {
  assert.deepEqual(links('看https://a.example/路。谢谢'), ['https://a.example/路']);
  assert.deepEqual(links('（https://a.example）'), ['https://a.example']);
});

test('a room is linked by its name', () => {
  const [, { kind, text, href }, rest] = tokenize('come to #café-2, please');
  assert.deepEqual({ kind, text, href }, { kind: 'room', text: '#café-2', href: '/caf%C3%A9-2' });
  assert.equal(rest.text, ', please');
});

test('a full stop after a room is not part of its name', () => {
  assert.deepEqual(kinds('in #random.'), [['text', 'in '], ['room', '#random'], ['text', '.']]);
});

test('numbers, fragments and entities are not rooms', () => {
  for (const text of ['we are #1', 'a#b', 'x/#b', '##b', '&#x27;', '#', '# title']) assert.equal(tokenize(text).length, 1, text);
});

test('colours and directives of C are not rooms, words are', () => {
  for (const text of ['#fff', '#FFF', '#000', '#a1b2c3', '#ffffff', '#ffeecc', '#eee', '#abc', '#abcdef', '#fafafa', '#12345678', '#f0f8']) {
    assert.equal(tokenize(`make it ${text}, please`).length, 1, text);
  }
  for (const text of ['#include <stdio.h>', '#define X', '#ifdef X', '#endif', '#pragma once', '#if 0', '#else']) {
    assert.equal(tokenize(text).length, 1, text);
  }
  for (const text of ['#cafe', '#ada', '#decade', '#facade', '#dead', '#defined', '#ff', '#feeds', '#a1b2c3d', '#abcd-1', '#Include']) {
    assert.equal(tokenize(text)[0].kind, 'room', text);
  }
});

test('names that the server uses itself are not rooms', () => {
  const source = readFileSync(new URL('../../src/chat/room.rs', import.meta.url), 'utf8');
  const names = source.match(/RESERVED_NAMES: &\[&str\] = &\[([^\]]+)\]/)[1].match(/[^\s",]+/g);
  assert.ok(names.length > 30);
  for (const name of names) assert.equal(roomPath(name), null, name);
  for (const text of ['#admin', '#Status', '#robots.txt']) assert.equal(tokenize(text).length, 1, text);
  assert.equal(tokenize('#admins')[0].kind, 'room');
  assert.equal(suggestRoom('/admin'), 'admin-room');
});

test('a name like the typed one is suggested', () => {
  for (const [typed, name] of SUGGESTIONS) {
    assert.equal(suggestRoom(typed), name, typed);
    assert.ok(!name || roomPath(name), name);
  }
});

test('the fragment of an address is not a room', () => {
  assert.deepEqual(kinds('https://a.example/#top'), [['link', 'https://a.example/#top']]);
});

test('code loses its backticks and contains no other markup', () => {
  assert.deepEqual(kinds('run `curl https://a.example #x ada` now', 'ada'), [
    ['text', 'run '],
    ['code', 'curl https://a.example #x ada'],
    ['text', ' now'],
  ]);
});

test('a lone backtick is text', () => {
  assert.deepEqual(kinds('it`s'), [['text', 'it`s']]);
  assert.deepEqual(kinds('a `b\nc` d'), [['text', 'a `b\nc` d']]);
});

test('a fence keeps its lines and loses its language', () => {
  assert.deepEqual(kinds('see\n```rust\nfn main() {\n  `x`\n}\n```\nok'), [
    ['text', 'see'],
    ['fence', 'fn main() {\n  `x`\n}'],
    ['text', 'ok'],
  ]);
});

test('a fence may be one line; an open one is text', () => {
  assert.deepEqual(kinds('```a b```'), [['fence', 'a b']]);
  assert.deepEqual(kinds('```\nopen'), [['text', '```\nopen']]);
});

test('line breaks are kept', () => {
  assert.deepEqual(kinds('a\n\n  b'), [['text', 'a\n\n  b']]);
});

test('the user’s name is a mention in any case, with or without @', () => {
  assert.deepEqual(kinds('Ada, @ada: hi', 'ada'), [['me', 'Ada'], ['text', ', '], ['me', '@ada'], ['text', ': hi']]);
});

test('the user’s name within a word or a link is no mention', () => {
  assert.deepEqual(kinds('adabas canada ada_1', 'ada'), [['text', 'adabas canada ada_1']]);
  assert.deepEqual(kinds('https://ada.example/ada', 'ada'), [['link', 'https://ada.example/ada']]);
});

test('names of any letters and signs are matched literally', () => {
  for (const name of ['c++', 'a.b', '[x]', 'Zoë', 'لیلی', 'Ada Lovelace', '(*)', 'a\\b', 'x-y', '🦀', 'a/b^$|']) {
    assert.deepEqual(kinds(`hi ${name} there`, name), [['text', 'hi '], ['me', name], ['text', ' there']], name);
  }
  assert.equal(tokenize('aXb', 'a.b').length, 1);
});

test('an empty name is never mentioned', () => {
  assert.deepEqual(kinds('anything @ all', '  '), [['text', 'anything @ all']]);
});

test('long hostile texts are tokenized within a second', () => {
  const started = performance.now();
  for (const part of ['`', '```', '#a', 'http://a(', '[', '@', 'http://', ')', '\n```\n']) tokenize(part.repeat(4000 / part.length), 'a');
  assert.ok(performance.now() - started < 1000);
});

test('a room’s path is normalised and encoded; a bad name has none', () => {
  assert.equal(roomPath(' cafe\u0301 '), '/caf%C3%A9');
  for (const bad of ['', '-a', 'a b', 'a/b', '<b>', 'x'.repeat(65)]) assert.equal(roomPath(bad), null, bad);
});
