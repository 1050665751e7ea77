import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hiddenHost } from '../../assets/addresses.js';
import { tokenizeFor } from '../../assets/markup.js';
import { HIDDEN_HOSTS, LINKS } from './links.js';

const linksIn = (text) => tokenizeFor(text, '').filter(({ kind }) => kind === 'link');

test('each text has the right links', () => {
  const wrong = LINKS.map(([text, ...links]) => ({ text, links, found: linksIn(text).map(({ href }) => href) }))
    .filter(({ links, found }) => `${found}` !== `${links}`);
  assert.deepEqual(wrong, []);
  assert.ok(LINKS.length >= 120);
});

test('a link shows what it leads to, and nothing of the text is lost', () => {
  for (const [text] of LINKS) {
    for (const { text: shown, href } of linksIn(text)) assert.equal(shown, href);
    if (!text.includes('`')) assert.equal(tokenizeFor(text, '').map(({ text: part }) => part).join(''), text);
  }
});

test('a host that may be taken for another is told', () => {
  for (const [address, host] of HIDDEN_HOSTS) assert.equal(hiddenHost(linksIn(address)[0].href), host, address);
});
