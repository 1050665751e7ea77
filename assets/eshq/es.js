/**
 * The library of EventSource HQ: `new ESHQ(channel)` subscribes a page of any site to a channel of this hub.
 *
 * The page's own server vouches for the user: it is asked for a socket, a pass to the stream of one channel. A stream
 * that dies is replaced by one of another socket, which begins after the last id. A classic script, in the JavaScript of
 * browsers that are as old as EventSource.
 */

(function () {
  'use strict';

  /** How often the age of the newest event is looked at, and how old it may be. */
  var LOOK_INTERVAL = 10000;
  var MAX_SILENCE = 30000;

  /** The pause after a failure, which doubles with each, and the longest one. */
  var FIRST_PAUSE = 3000;
  var MAX_PAUSE = 30000;

  /** What every stream is listened to for: each event moves the id, and shows that the stream lives. */
  var ALWAYS_HEARD = ['open', 'error', 'message', 'ping', 'status', 'gap', 'backoff'];

  /** @type {Window & { ESHQ?: any, ESHQ_ORIGIN?: string }} */
  var page = window;

  var scripts = document.getElementsByTagName('script');
  var script = /** @type {HTMLScriptElement | null} */ (document.currentScript) || scripts[scripts.length - 1];
  var scriptOrigin = (((script && script.src) || '').match(/^\w+:\/\/[^\/]+/) || [''])[0];

  /** The open ESHQs of the page by channel, also of a copy of this script that ran before. */
  var opened = (page.ESHQ && page.ESHQ.opened) || {};

  var warned = false;

  /**
   * @param {string} url
   * @param {string} body
   * @param {Object<string, any>} headers values, or functions that return them
   * @param {(status: number, text: string) => void} [whenDone]
   */
  function post(url, body, headers, whenDone) {
    var request = new XMLHttpRequest();
    request.open('POST', url, true);
    request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
    Object.keys(headers).forEach(function (name) {
      var value = headers[name];
      request.setRequestHeader(name, typeof value === 'function' ? value() : value);
    });
    if (whenDone) {
      request.withCredentials = true;
      request.onreadystatechange = function () {
        if (request.readyState === 4) whenDone(request.status, request.responseText);
      };
    }
    request.send(body);
    return request;
  }

  /** @param {string} text */
  function socketIn(text) {
    try {
      return JSON.parse(text).socket;
    } catch (error) {
      return null;
    }
  }

  /** @param {string} name @param {string} value */
  function field(name, value) {
    return name + '=' + encodeURIComponent(value);
  }

  /** @param {number} failures @param {number} spread */
  function pauseAfter(failures, spread) {
    return Math.min(MAX_PAUSE, FIRST_PAUSE * Math.pow(2, failures) * (1 + spread));
  }

  /**
   * @constructor
   * @param {string} channel
   * @param {{ auth_url?: string, auth_headers?: Object<string, any>, presence_id?: any }} [options]
   */
  function ESHQ(channel, options) {
    /** @type {any} */
    var es = this;
    var key = '$' + channel;
    var hub = String(page.ESHQ_ORIGIN || scriptOrigin).replace(/\/+$/, '');
    /** @type {Object<string, Function[]>} */
    var listeners = {};
    /** @type {string[]} */
    var unsent = [];
    var failedRequests = 0;
    var failedStreams = 0;
    var lastEventAt = 0;
    var closed = false;
    var wentOnline = false;
    /** @type {EventSource | null} */
    var source = null;
    /** @type {XMLHttpRequest | null} */
    var request = null;
    /** @type {number | undefined} */
    var retry;
    /** @type {number | undefined} */
    var looks;
    /** @type {(event: any) => void} */
    var hear;

    es.channel = channel;
    es.options = options || {};
    es.socket_id = es.lastEventId = es.onopen = es.onmessage = es.onerror = null;

    /** @param {string} type */
    function listenersOf(type) {
      return listeners['$' + type] || [];
    }

    /** @param {{ type: string, data?: string, lastEventId?: string, status?: number }} event */
    function dispatch(event) {
      var handler = es['on' + event.type];
      [handler].concat(listenersOf(event.type)).forEach(function (listener) {
        var removed = listener !== handler && listenersOf(event.type).indexOf(listener) < 0;
        if (!listener || removed || closed) return;
        try {
          listener.call(es, event);
        } catch (error) {
          setTimeout(function () {
            throw error; // reported as that of a native listener, and the others are called all the same
          });
        }
      });
    }

    function authorize() {
      var presence = es.options.presence_id;
      var body = field('channel', channel);
      if (presence || presence === 0) body += '&' + field('presence_id', presence);
      if (source) source.close();
      source = request = null;
      retry = undefined;
      wentOnline = false;
      lastEventAt = Date.now();
      request = post(es.options.auth_url || '/eshq/socket', body, es.options.auth_headers || {}, function (status, text) {
        var socket = /^20\d$/.test(String(status)) && socketIn(text);
        request = null;
        if (closed) return;
        if (socket) {
          failedRequests = 0;
          open(socket);
          return;
        }
        dispatch({ type: 'error', status: status });
        if (status === 401 || status === 403) stopLooking();
        else authorizeIn(pauseAfter(failedRequests++, Math.random() / 3));
      });
    }

    /** @param {number} pause */
    function authorizeIn(pause) {
      if (!closed) retry = setTimeout(authorize, pause);
    }

    /** @param {string} socket */
    function open(socket) {
      var hasOpened = false;
      var url = hub + '/eventsource?' + field('socket', socket);
      if (es.lastEventId) url += '&' + field('last-event-id', es.lastEventId);
      var own = new EventSource(url);
      es.socket_id = socket;
      lastEventAt = Date.now();
      source = own;
      hear = function (event) {
        var type = event.type;
        var isError = type === 'error';
        if (own !== source || closed) return;
        if (!isError) {
          wentOnline = false;
          lastEventAt = Date.now();
        }
        if (type === 'open') {
          hasOpened = true;
          failedStreams = 0;
        }
        if (type === 'backoff') lastEventAt += JSON.parse(event.data).retry || 0;
        if (event.lastEventId) es.lastEventId = event.lastEventId;
        dispatch({ type: type, data: event.data, lastEventId: event.lastEventId });
        if (isError && own.readyState === 2) {
          source = null;
          // At once, but not in this task: Chromium ends streams just before it leaves a page.
          authorizeIn(hasOpened ? 0 : pauseAfter(failedStreams++, 0));
        }
      };
      ALWAYS_HEARD.forEach(listen);
      Object.keys(listeners).forEach(function (key) {
        listen(key.slice(1));
      });
      unsent.splice(0).forEach(es.send);
    }

    /** @param {string} type */
    function listen(type) {
      if (source) source.addEventListener(type, hear);
    }

    function look() {
      var silence = Date.now() - lastEventAt;
      // A clock that was set back makes a silence negative, as a `backoff` does, but by more.
      var isDead = silence < -2 * MAX_SILENCE || silence >= (wentOnline ? 0 : MAX_SILENCE);
      if (retry || !isDead) return;
      if (request) request.abort(); // a failure
      else authorize();
    }

    /** The network may be another one. What lives has sent something, a `ping` at least, before the next look. */
    function onOnline() {
      if (wentOnline) return;
      wentOnline = true;
      clearInterval(looks);
      looks = setInterval(look, LOOK_INTERVAL);
    }

    function stopLooking() {
      clearInterval(looks);
      page.removeEventListener('online', onOnline);
    }

    /** @param {string} type @param {Function} listener */
    es.addEventListener = function (type, listener) {
      if (listenersOf(type).indexOf(listener) < 0) listeners['$' + type] = listenersOf(type).concat(listener);
      listen(type);
    };

    /** @param {string} type @param {Function} listener */
    es.removeEventListener = function (type, listener) {
      listeners['$' + type] = listenersOf(type).filter(function (other) {
        return other !== listener;
      });
    };

    /** @param {string} text */
    es.send = function (text) {
      if (!warned && window.console) console.warn('ESHQ.send is deprecated: post to your own server instead.');
      warned = true;
      if (es.socket_id) post(hub + '/socket/' + encodeURIComponent(es.socket_id), field('data', text), {});
      else unsent.push(text);
    };

    es.close = function () {
      closed = true;
      if (source) source.close();
      if (request) request.abort();
      clearTimeout(retry);
      stopLooking();
      if (opened[key] === es) delete opened[key];
    };

    if (opened[key]) opened[key].close();
    authorize();
    opened[key] = es;
    looks = setInterval(look, LOOK_INTERVAL);
    page.addEventListener('online', onOnline);
  }

  ESHQ.opened = opened;
  page.ESHQ = ESHQ;
})();
