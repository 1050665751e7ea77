import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { clock } from './clock.js';
import { FakePage } from './eshq-page.js';
import { START } from './world.js';

const random = Math.random;

beforeEach(() => {
  clock.stop(START);
  Math.random = () => 0;
});

afterEach(() => {
  clock.release();
  Math.random = random;
});

/** Opens an ESHQ whose events are recorded, on a page of its own if none is given. */
function subscribe(channel = 'chat', options = undefined, page = new FakePage().run('es.js')) {
  const es = new page.window.ESHQ(channel, options);
  const seen = [];
  const keep = (event) => seen.push(event);
  Object.assign(es, { onopen: keep, onmessage: keep, onerror: keep });
  return { page, es, seen, keep };
}

/** Answers the newest authorization with a socket, and returns the stream of it. */
function authorized(page, socket = `socket-${page.requests.length}`) {
  page.request.answer(200, { socket });
  return page.stream;
}

/** Opens an ESHQ up to an open stream, and forgets that event. */
function streaming(...given) {
  const world = subscribe(...given);
  const stream = authorized(world.page);
  stream.opens();
  world.seen.length = 0;
  return { ...world, stream };
}

const types = (seen) => seen.map(({ type }) => type);

test('the script puts nothing but ESHQ into the window', () => {
  const page = new FakePage();
  const before = Object.keys(page.window);
  page.run('es.js');
  assert.deepEqual(Object.keys(page.window), [...before, 'ESHQ']);
});

test('the hub is the origin of the script, or ESHQ_ORIGIN without slashes at its end', () => {
  const scripts = [{ src: 'https://other.example/jquery.js' }, { src: 'http://old.example:81/es.js' }];
  for (const [expected, options] of [
    ['https://hub.example', {}],
    ['https://hub.example', { src: 'https://hub.example//es.js' }],
    ['http://hub.example:8080', { src: 'http://hub.example:8080/lib/es.js?v=1' }],
    ['http://old.example:81', { src: null, scripts }], // in a browser without document.currentScript
    ['https://own.example', { window: { ESHQ_ORIGIN: 'https://own.example/' } }],
    ['https://own.example/hub', { window: { ESHQ_ORIGIN: 'https://own.example/hub//' } }],
    ['', { src: null }],
  ]) {
    const { page } = subscribe('chat', {}, new FakePage(options).run('es.js'));
    assert.equal(authorized(page, 'a b').url, `${expected}/eventsource?socket=a%20b`);
  }
});

test('the hub may be named after the script has run', () => {
  const page = new FakePage().run('es.js');
  page.window.ESHQ_ORIGIN = 'https://late.example';
  subscribe('chat', {}, page);
  assert.equal(authorized(page).url, 'https://late.example/eventsource?socket=socket-1');
});

test('authorization is a form posted to the page with cookies', () => {
  const { page, es } = subscribe('a&b=ü', { presence_id: 'Ann + Bob' });
  const { method, url, body, headers, withCredentials } = page.request;
  assert.deepEqual({ method, url, body, withCredentials }, {
    method: 'POST',
    url: '/eshq/socket',
    body: 'channel=a%26b%3D%C3%BC&presence_id=Ann%20%2B%20Bob',
    withCredentials: true,
  });
  assert.deepEqual(headers, { 'Content-Type': 'application/x-www-form-urlencoded' });
  assert.deepEqual([es.channel, es.options], ['a&b=ü', { presence_id: 'Ann + Bob' }]);
});

test('a presence id is left out if it is empty, and may be a number', () => {
  const bodies = ['', null, undefined, 0, 17].map((presence_id) => subscribe('c', { presence_id }).page.request.body);
  assert.deepEqual(bodies, ['channel=c', 'channel=c', 'channel=c', 'channel=c&presence_id=0', 'channel=c&presence_id=17']);
});

test('headers may be functions, which are called each time', () => {
  let count = 0;
  const options = { auth_url: '/pass', auth_headers: { 'X-CSRF': () => `token ${(count += 1)}`, 'X-App': 'one' } };
  const { page } = subscribe('chat', options);
  page.request.answer(500);
  clock.tick(3_000);
  assert.deepEqual(page.requests.map(({ url, headers }) => [url, headers['X-CSRF'], headers['X-App']]), [
    ['/pass', 'token 1', 'one'],
    ['/pass', 'token 2', 'one'],
  ]);
});

test('200 to 209 with a socket is success', () => {
  for (const [status, body, isGood] of [
    [200, { socket: 's' }, true],
    [201, { socket: 's', more: 1 }, true],
    [209, { socket: 's' }, true],
    [210, { socket: 's' }, false],
    [304, { socket: 's' }, false],
    [200, {}, false],
    [200, 'null', false],
    [200, '<!doctype html>', false],
    [200, '', false],
  ]) {
    const { page, es, seen } = subscribe();
    page.request.answer(status, body);
    assert.equal(page.streams.length, isGood ? 1 : 0, `${status} ${JSON.stringify(body)}`);
    assert.equal(es.socket_id, isGood ? 's' : null);
    assert.deepEqual(seen, isGood ? [] : [{ type: 'error', status }]);
  }
});

test('handlers and listeners get events with type, data and lastEventId', () => {
  const { page, es, seen, keep } = subscribe();
  es.addEventListener('early', keep);
  const stream = authorized(page);
  stream.opens();
  es.addEventListener('late', keep);
  stream.receives('status', '{"live":true}', '5-0');
  stream.receives('ping', '{}');
  stream.receives('message', 'hi', '6-1');
  stream.receives('early', 'one', '7-2');
  stream.receives('late', 'two', '8-3');
  stream.receives('unheard', 'three', '9-4');
  stream.isCut();
  assert.deepEqual(seen, [
    { type: 'open', data: undefined, lastEventId: undefined },
    { type: 'message', data: 'hi', lastEventId: '6-1' },
    { type: 'early', data: 'one', lastEventId: '7-2' },
    { type: 'late', data: 'two', lastEventId: '8-3' },
    { type: 'error', data: undefined, lastEventId: undefined },
  ]);
  assert.equal(es.lastEventId, '8-3');
});

test('a listener may be added for what has a handler, and for ping', () => {
  const { page, es, keep } = subscribe();
  const heard = [];
  for (const type of ['open', 'message', 'error', 'ping']) es.addEventListener(type, ({ type }) => heard.push(type));
  const stream = authorized(page);
  stream.opens();
  stream.receives('message', 'hi', '6-1');
  stream.receives('ping', '{}');
  stream.isCut();
  es.addEventListener('ping', keep);
  assert.deepEqual(heard, ['open', 'message', 'ping', 'error']);
});

test('a listener is called once, as a method, until it is removed', () => {
  const { es, stream } = streaming();
  const heard = [];
  function listener({ data }) {
    heard.push([this === es, data]);
  }
  es.addEventListener('news', listener);
  es.addEventListener('news', listener);
  stream.receives('news', '1');
  es.removeEventListener('news', listener);
  es.removeEventListener('never added', listener);
  stream.receives('news', '2');
  assert.deepEqual(heard, [[true, '1']]);
});

test('a listener that another removes is not called', () => {
  const { es, stream } = streaming();
  const heard = [];
  const second = () => heard.push('second');
  es.addEventListener('news', () => es.removeEventListener('news', second));
  es.addEventListener('news', second);
  stream.receives('news', '1');
  assert.deepEqual(heard, []);
});

test('a listener that throws is reported, and the others are called', () => {
  const { es, stream } = streaming();
  const heard = [];
  es.onmessage = () => {
    throw new Error('of the page');
  };
  es.addEventListener('message', ({ data }) => heard.push(data));
  stream.receives('message', 'hi', '6-1');
  assert.deepEqual(heard, ['hi']);
  assert.throws(() => clock.tick(10), /of the page/);
});

test('channels and types may have the names of members of objects', () => {
  const page = new FakePage().run('es.js');
  const { es, stream } = streaming('__proto__', {}, page);
  const other = streaming('constructor', {}, page);
  const heard = [];
  es.addEventListener('__proto__', ({ data }) => heard.push(data));
  es.addEventListener('toString', ({ data }) => heard.push(data));
  stream.receives('__proto__', '1');
  stream.receives('toString', '2');
  other.stream.receives('valueOf', '3');
  assert.deepEqual(heard, ['1', '2']);
});

test('close is final, silent, and may be repeated', () => {
  const { page, es, seen, stream } = streaming();
  es.close();
  es.close();
  stream.receives('message', 'late', '6-1');
  stream.dies();
  page.fire('online');
  clock.tick(100_000);
  assert.deepEqual([seen, page.openStreams, page.requests.length], [[], [], 1]);
});

test('close ends an authorization, and the pause before the next', () => {
  const first = subscribe();
  first.es.close();
  assert.ok(first.page.request.aborted);
  first.page.request.answer(200, { socket: 's' });
  assert.deepEqual([first.seen, first.page.streams], [[], []]);

  const second = subscribe();
  second.page.request.answer(500);
  second.es.close();
  clock.tick(100_000);
  assert.equal(second.page.requests.length, 1);
});

test('close in a callback is the last callback', () => {
  for (const happen of [
    (stream) => stream.receives('message', 'hi', '6-1'),
    (stream) => stream.dies(),
    (stream) => stream.isCut(),
  ]) {
    const { page, es, stream } = streaming();
    let calls = 0;
    const close = () => {
      calls += 1;
      es.close();
    };
    Object.assign(es, { onmessage: close, onerror: close });
    es.addEventListener('message', close);
    es.addEventListener('error', close);
    happen(stream);
    clock.tick(100_000);
    assert.deepEqual([calls, page.requests.length, page.openStreams], [1, 1, []]);
  }
});

test('close after a failed authorization is the last callback, too', () => {
  const { page, es } = subscribe();
  let calls = 0;
  es.onerror = () => {
    calls += 1;
    es.close();
  };
  page.request.answer(500);
  clock.tick(100_000);
  assert.deepEqual([calls, page.requests.length], [1, 1]);
});

test('a new ESHQ closes the one before it in the same channel', () => {
  const page = new FakePage().run('es.js');
  const first = streaming('chat', {}, page);
  const other = streaming('other', {}, page);
  page.run('es.js'); // a page may load the script twice
  const second = streaming('chat', {}, page);
  first.stream.receives('message', 'hi', '6-1');
  assert.deepEqual([first.seen, page.openStreams], [[], [other.stream, second.stream]]);

  first.es.close(); // and not the one that took its place
  const third = streaming('chat', {}, page);
  assert.deepEqual(page.openStreams, [other.stream, third.stream]);
});

test('a dead stream is replaced at once, after its last id', () => {
  const { page, es, seen, stream } = streaming();
  stream.receives('message', 'hi', '6-1');
  stream.dies();
  assert.equal(page.requests.length, 1, 'not while the page may be on its way out');
  clock.tick(1);
  assert.equal(page.requests.length, 2);
  const next = authorized(page, 'second');
  assert.deepEqual(next.query, { socket: 'second', 'last-event-id': '6-1' });
  assert.deepEqual([types(seen), es.socket_id], [['message', 'error'], 'second']);
  next.opens();
  next.receives('message', 'again', '7-2');
  stream.receives('message', 'of the dead', '9-9');
  assert.deepEqual([types(seen), es.lastEventId], [['message', 'error', 'open', 'message'], '7-2']);
});

test('the id of a status is known before the first message', () => {
  const { page, stream } = streaming();
  stream.receives('status', '{"live":true}', '5-0');
  stream.dies();
  assert.equal(authorized(page).query['last-event-id'], '5-0');
});

test('listeners are kept over a new socket', () => {
  const { page, es, seen, keep, stream } = streaming();
  es.addEventListener('news', keep);
  stream.dies();
  clock.tick(1);
  authorized(page).receives('news', 'hi', '6-1');
  assert.deepEqual(types(seen), ['error', 'news']);
});

test('a page may say where it begins', () => {
  const { page, es } = subscribe();
  es.lastEventId = '4-4';
  assert.equal(authorized(page).query['last-event-id'], '4-4');
});

test('a stream that never opened is replaced after 3 s, doubled up to 30 s', () => {
  const { page } = subscribe();
  for (const seconds of [3, 6, 12, 24, 30, 30]) {
    const { length } = page.requests;
    authorized(page).dies();
    clock.tick(seconds * 1_000 - 1);
    assert.equal(page.requests.length, length, `${seconds} s`);
    clock.tick(1);
    assert.equal(page.requests.length, length + 1, `${seconds} s`);
  }
  authorized(page).opens();
  page.stream.dies();
  clock.tick(1);
  authorized(page).dies();
  const { length } = page.requests;
  clock.tick(3_000);
  assert.equal(page.requests.length, length + 1, 'what opens ends the row of failures');
});

test('a stream that is cut is left to the browser', () => {
  const { page, seen, stream } = streaming();
  stream.isCut();
  stream.opens();
  assert.deepEqual([types(seen), page.requests.length, page.streams.length], [['error', 'open'], 1, 1]);
});

test('a failed authorization is tried again after 3 s, doubled up to 30 s', () => {
  const { page, seen } = subscribe();
  const statuses = [500, 0, 404, 429, 200, 502];
  for (const [index, seconds] of [3, 6, 12, 24, 30, 30].entries()) {
    page.request.answer(statuses[index]);
    clock.tick(seconds * 1_000 - 1);
    assert.equal(page.requests.length, index + 1, `${seconds} s`);
    clock.tick(1);
    assert.equal(page.requests.length, index + 2, `${seconds} s`);
  }
  assert.deepEqual(seen.map(({ status }) => status), statuses);
  authorized(page).opens();
  page.stream.dies();
  clock.tick(1);
  page.request.answer(500);
  const { length } = page.requests;
  clock.tick(3_000);
  assert.equal(page.requests.length, length + 1, 'a success ends the row of failures');
});

test('the pauses between authorizations are random, but never above 30 s', () => {
  Math.random = () => 0.999999;
  const { page } = subscribe();
  for (const seconds of [4, 8, 16, 30, 30]) {
    const { length } = page.requests;
    page.request.answer(500);
    clock.tick(seconds * 1_000 - 100);
    assert.equal(page.requests.length, length, `${seconds} s`);
    clock.tick(100);
    assert.equal(page.requests.length, length + 1, `${seconds} s`);
  }
});

test('after 401 and 403 nothing is tried again', () => {
  for (const status of [401, 403]) {
    const { page, seen } = subscribe();
    page.request.answer(status);
    page.fire('online');
    clock.tick(100_000);
    assert.deepEqual([seen, page.requests.length], [[{ type: 'error', status }], 1]);
  }
});

test('a stream without any event for 30 s is replaced', () => {
  const { page, stream } = streaming();
  clock.tick(10_500);
  stream.receives('ping', '{}');
  clock.tick(39_499);
  assert.equal(page.requests.length, 1);
  clock.tick(1);
  assert.equal(page.requests.length, 2, 'looked at every 10 s');
  assert.deepEqual(page.openStreams, []);
  authorized(page).opens();
  assert.equal(page.openStreams.length, 1);
});

test('errors are no sign of life', () => {
  const { page, stream } = streaming();
  for (let second = 0; second < 30; second += 5) {
    clock.tick(5_000);
    if (second < 25) stream.isCut();
  }
  assert.equal(page.requests.length, 2);
});

test('the silence after a backoff counts from the end of its retry', () => {
  const { page, stream } = streaming();
  stream.receives('backoff', '{"reason":"full","retry":17403}');
  stream.isCut();
  page.fire('online');
  clock.tick(17_000);
  assert.equal(page.requests.length, 1);
  clock.tick(22_999);
  assert.equal(page.requests.length, 2, 'after `online` at the next look, once the retry is over');

  const other = streaming();
  other.stream.receives('backoff', '{"reason":"full","retry":17403}');
  other.stream.isCut();
  clock.tick(49_999);
  assert.equal(other.page.requests.length, 1);
  clock.tick(1);
  assert.equal(other.page.requests.length, 2);
});

test('after a wake from sleep a silent stream is replaced at the next look', () => {
  const { page } = streaming();
  clock.tick(5_000);
  clock.put(Date.now() + 3_600_000); // its timers stood still
  clock.tick(5_000);
  assert.equal(page.requests.length, 2);
});

test('a clock that is set back does not hide a silence', () => {
  const { page } = streaming();
  clock.put(Date.now() - 3_600_000);
  clock.tick(10_000);
  assert.equal(page.requests.length, 2);
});

test('after online a silent stream is replaced within 10 s, a living one is not', () => {
  const { page, stream } = streaming();
  clock.tick(9_000);
  page.fire('online');
  clock.tick(8_000);
  stream.receives('ping', '{}');
  clock.tick(12_000);
  assert.equal(page.requests.length, 1);
  stream.receives('ping', '{}');
  page.fire('online');
  clock.tick(4_000);
  page.fire('online'); // does not put it off
  clock.tick(6_000);
  assert.equal(page.requests.length, 2);
});

test('an authorization without an answer is given up', () => {
  const { page, seen } = subscribe();
  clock.tick(30_000);
  assert.ok(page.requests[0].aborted);
  assert.deepEqual(seen, [{ type: 'error', status: 0 }]);
  clock.tick(3_000);
  assert.equal(page.requests.length, 2);
});

test('the pause before an authorization is not cut short', () => {
  const { page } = subscribe();
  for (let failures = 0; failures < 5; failures += 1) {
    page.request.answer(500);
    if (failures < 4) clock.tick(30_000);
  }
  const { length } = page.requests;
  page.fire('online');
  clock.tick(29_999);
  assert.equal(page.requests.length, length);
});

test('send posts to the socket, once there is one, and warns once', () => {
  const page = new FakePage().run('es.js');
  const { es } = subscribe('chat', {}, page);
  es.send('early');
  authorized(page, 'a b');
  es.send('two & two');
  assert.deepEqual(page.requests.slice(1).map(({ url, body }) => [url, body]), [
    ['https://hub.example/socket/a%20b', 'data=early'],
    ['https://hub.example/socket/a%20b', 'data=two%20%26%20two'],
  ]);
  assert.equal(page.request.withCredentials, false, 'the hub answers to every origin, but to none with cookies');
  assert.equal(page.warnings.length, 1);
});
