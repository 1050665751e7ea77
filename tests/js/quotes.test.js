import assert from 'node:assert/strict';
import { test } from 'node:test';

import { tokenizeFor } from '../../assets/markup.js';
import { partQuotes, quote } from '../../assets/quotes.js';

const URL_ = 'http://chat.example/lobby#1-1';

/** Returns the parts of a text: quotes after `> `, with the kinds of what is no text in brackets. */
function parts(text, name = '') {
  return partQuotes(text, tokenizeFor(text, name)).map(({ quoted, tokens }) => {
    const shown = tokens.map(({ kind, text: own }) => (kind === 'text' ? own : `[${kind} ${own}]`)).join('');
    return (quoted ? '> ' : '') + shown;
  });
}

test('a reply quotes the beginning of a message and links to it', () => {
  assert.equal(quote('ada', 'hello', URL_), `> ada: hello\n> ${URL_}\n`);
  assert.equal(quote('ada', '> mason: earlier\n> http://a.example\n\nyes\nand no', URL_), `> ada: yes and no\n> ${URL_}\n`);
  assert.equal(quote('ada', '```\ncode\n```', URL_), `> ada: code\n> ${URL_}\n`);
  assert.equal(quote('ada', '> only a quote', URL_), `> ada: …\n> ${URL_}\n`);
  const long = quote('ada', '👨‍👩‍👧'.repeat(200), URL_);
  assert.equal(long, `> ada: ${'👨‍👩‍👧'.repeat(120)}…\n> ${URL_}\n`, 'no emoji is cut');
});

test('lines that begin with > and a space are quoted, with their markup', () => {
  for (const [text, expected] of [
    ['plain > text', ['plain > text']],
    ['>no space\n> yes', ['>no space', '> yes']],
    ['> one\n> two\nreply', ['> one\ntwo', 'reply']],
    ['before\n> one\nafter\n> two', ['before', '> one', 'after', '> two']],
    [`> ada: hi\n> ${URL_}\nyes ada`, [`> [me ada]: hi\n[link ${URL_}]`, 'yes [me ada]']],
    ['> see `a > b` and #garden', ['> see [code a > b] and [room #garden]']],
    ['```\n> code\n```\n> quote', ['[fence > code]', '> quote']],
  ]) {
    assert.deepEqual(parts(text, 'ada'), expected, text);
  }
  assert.deepEqual(parts('> '), []);
});
