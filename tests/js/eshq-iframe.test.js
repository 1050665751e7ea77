import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';

import { clock } from './clock.js';
import { FakePage } from './eshq-page.js';
import { START } from './world.js';

beforeEach(() => clock.stop(START));
afterEach(() => clock.release());

const open = (search) => new FakePage({ search }).run('iframe.js');

/** Tells the frame something, as its parent unless said otherwise. */
function tell(page, text, source = page.parent) {
  page.fire('message', { source, data: typeof text === 'string' ? text : JSON.stringify(text) });
}

test('the frame reads the stream of the socket in its address', () => {
  assert.equal(open('?channel=chat&socket=a-1&t=1396').stream.url, '/eventsource?socket=a-1');
  const resumed = open('?channel=chat&socket=a-1&t=1396&last-event-id=6-1').stream;
  assert.equal(resumed.url, '/eventsource?socket=a-1&last-event-id=6-1');
});

test('events are passed on to the parent as texts', () => {
  const page = open('?channel=caf%C3%A9%20%26&socket=a-1&t=1');
  page.stream.opens();
  page.stream.receives('message', 'hi', '6-1');
  page.stream.receives('ping', '{}');
  page.stream.receives('status', '{"live":true}');
  page.stream.isCut();
  const channel = 'café &';
  assert.deepEqual(page.told, [
    { eshqEvent: 'open', channel, originalEvent: { type: 'open' }, target: '*' },
    { eshqEvent: 'message', channel, originalEvent: { data: 'hi', lastEventId: '6-1', type: 'message' }, target: '*' },
    { eshqEvent: 'ping', channel, originalEvent: { data: '{}', lastEventId: '6-1', type: 'ping' }, target: '*' },
    { eshqEvent: 'error', channel, originalEvent: { type: 'error' }, target: '*' },
  ]);
});

test('a channel that is not percent-encoded is taken as it is', () => {
  const page = open('?channel=100%&socket=a-1');
  page.stream.opens();
  assert.equal(page.told[0].channel, '100%');
});

test('bound types are passed on as messages, once each', () => {
  const page = open('?channel=chat&socket=a-1');
  for (const type of ['news', 'news', 'message']) tell(page, { action: 'bind', data: { type } });
  page.stream.receives('news', 'one', '6-1');
  page.stream.receives('message', 'two', '7-2');
  page.stream.receives('other', 'three', '8-3');
  const passed = page.told.map(({ eshqEvent, originalEvent: { type, data } }) => [eshqEvent, type, data]);
  assert.deepEqual(passed, [['message', 'news', 'one'], ['message', 'message', 'two']]);
});

test('what the parent sends is posted to the socket', () => {
  const page = open('?channel=chat&socket=a-1');
  tell(page, { action: 'send', data: 'a & b' });
  const { method, url, body, headers } = page.request;
  assert.deepEqual([method, url, body], ['POST', '/socket/a-1', 'data=a%20%26%20b']);
  assert.deepEqual(headers, { 'Content-Type': 'application/x-www-form-urlencoded' });
});

test('a socket cannot lead to another address', () => {
  const page = open('?channel=chat&socket=../lobby?message=hi%26sender%3Dme&last-event-id=1%26socket=2');
  tell(page, { action: 'send', data: 'x' });
  const socket = '..%2Flobby%3Fmessage%3Dhi%26sender%3Dme';
  assert.equal(page.request.url, `/socket/${socket}`);
  assert.equal(page.stream.url, `/eventsource?socket=${socket}&last-event-id=1%26socket%3D2`);
});

test('only the parent is heard, and only what it can mean', () => {
  const page = open('?channel=chat&socket=a-1');
  tell(page, { action: 'bind', data: { type: 'news' } }, page.window);
  tell(page, { action: 'send', data: 'x' }, {});
  for (const text of ['', 'setImmediate$0', 'null', '7', '{"action":"bind"}', '{"action":"other"}']) tell(page, text);
  page.fire('message', { source: page.parent, data: { action: 'send' } });
  page.stream.receives('news', 'one', '6-1');
  assert.deepEqual([page.told, page.requests], [[], []]);
});

test('the page is told of pings while the stream is sent away', () => {
  const page = open('?channel=chat&socket=a-1');
  page.stream.opens();
  page.stream.receives('backoff', '{"reason":"full","retry":26000}');
  page.stream.isCut();
  clock.tick(26_000);
  const pings = () => page.told.filter(({ eshqEvent }) => eshqEvent === 'ping').length;
  assert.equal(pings(), 2);
  clock.tick(100_000);
  assert.equal(pings(), 3, 'not for ever');

  page.stream.receives('backoff', '{"reason":"full","retry":26000}');
  page.stream.opens();
  clock.tick(100_000);
  assert.equal(pings(), 3, 'and not once it is open again');
});

test('scripts for other sites are in the JavaScript of 2009', () => {
  for (const file of ['es.js', 'iframe.js']) {
    const text = readFileSync(new URL(`../../assets/eshq/${file}`, import.meta.url), 'utf8');
    const code = text.replace(/\/\*[^]*?\*\/|\/\/ .*/g, '');
    assert.doesNotMatch(code, /=>|`|\.{3}|\?\.|\?\?|,\s*\)|\b(?:let|const|class|async|await|of|Promise|Map|Set|fetch|URL)\b/, file);
  }
});
