/**
 * The hub's side of the original library of EventSource HQ, of which pages have copies: they open `/iframe`, which reads
 * the stream of a socket and passes its events on to the page.
 */

(function () {
  'use strict';

  /** Below the 30 s of silence after which the library gives a socket up, and with it the id it had come to. */
  var PING_INTERVAL = 9000;

  var channel = parameter('channel');
  // Encoded, since the address is the parent's: a path in it would let any site post to rooms as a page of this one.
  var socket = encodeURIComponent(parameter('socket'));
  var lastEventId = encodeURIComponent(parameter('last-event-id'));
  var query = 'socket=' + socket + (lastEventId && '&last-event-id=' + lastEventId);
  var source = new EventSource('/eventsource?' + query);
  /** @type {Object<string, boolean>} */
  var bound = { $message: true };
  /** @type {number | undefined} */
  var pings;

  /**
   * Returns a parameter of the address, or an empty text.
   *
   * @param {string} name
   */
  function parameter(name) {
    var found = new RegExp('[?&]' + name + '=([^&]*)').exec(location.search);
    if (!found) return '';
    try {
      return decodeURIComponent(found[1]);
    } catch (error) {
      return found[1]; // a channel that was not encoded
    }
  }

  /** @param {string} kind @param {{ type: string, data?: string, lastEventId?: string }} event */
  function tell(kind, event) {
    var original = { data: event.data, lastEventId: event.lastEventId, type: event.type };
    var text = JSON.stringify({ eshqEvent: kind, channel: channel, originalEvent: original });
    parent.postMessage(text, '*');
  }

  /** @param {string} type @param {string} kind */
  function pass(type, kind) {
    source.addEventListener(type, function (event) {
      tell(kind, event);
    });
  }

  /**
   * An event of a type that is bound twice, as after each opening, is still passed on once.
   *
   * @param {string} type
   */
  function bind(type) {
    if (!bound['$' + type]) pass(type, 'message');
    bound['$' + type] = true;
  }

  function stopPings() {
    clearInterval(pings);
  }

  /** @param {string} text */
  function send(text) {
    var request = new XMLHttpRequest();
    request.open('POST', '/socket/' + socket, true);
    request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
    request.send('data=' + encodeURIComponent(text));
  }

  /** @param {string} text */
  function told(text) {
    try {
      return JSON.parse(text);
    } catch (error) {
      return null; // from another program on the page
    }
  }

  ['open', 'message', 'error', 'ping'].forEach(function (type) {
    pass(type, type);
  });

  // A reader that is sent away waits, and its page has to wait with it.
  source.addEventListener('backoff', function (event) {
    var end = Date.now() + JSON.parse(event.data).retry;
    stopPings();
    pings = setInterval(function () {
      tell('ping', { type: 'ping', data: '{}' });
      if (Date.now() >= end) stopPings();
    }, PING_INTERVAL);
  });
  source.addEventListener('open', stopPings);

  addEventListener('message', function (event) {
    var message = event.source === parent && told(event.data);
    if (message && message.action === 'bind' && message.data) bind(String(message.data.type));
    if (message && message.action === 'send') send(message.data);
  });
})();
