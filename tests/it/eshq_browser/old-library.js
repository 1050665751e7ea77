/**
 * A page's copy of the original library of EventSource HQ, written anew from what that did, since no registry has it. It
 * has the same requests, frames and texts to the frame, and the same faults: a channel that is not percent-encoded, an
 * origin that has to be spelled without a slash, an id that is never sent.
 */

(function () {
  var scripts = document.getElementsByTagName('script');
  var origin = window.ESHQ_ORIGIN || scripts[scripts.length - 1].src.replace(/\/es.js/, '');
  var open = {};

  function Channel(es) {
    if (open[es.channel]) open[es.channel].close();
    open[es.channel] = this;
    this.es = es;
    this.listeners = {};
    this.bound = {};
    this.connect();
    this.checkLater();
  }

  Channel.prototype = {
    connect: function () {
      var channel = this;
      var options = this.es.options;
      var body = 'channel=' + this.es.channel;
      if (options.presence_id) body += '&presence_id=' + options.presence_id;
      var xhr = new XMLHttpRequest();
      xhr.open('POST', options.auth_url || '/eshq/socket', true);
      xhr.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
      for (var name in options.auth_headers || {}) {
        var value = options.auth_headers[name];
        xhr.setRequestHeader(name, value && value.call ? value() : value);
      }
      xhr.onreadystatechange = function () {
        if (channel.closed || xhr.readyState !== 4 || !/^20\d$/.test(xhr.status)) return;
        channel.openFrame(JSON.parse(xhr.responseText).socket);
      };
      xhr.send(body);
    },

    openFrame: function (socket) {
      this.closeFrame();
      this.es.socket_id = socket;
      this.frame = document.createElement('iframe');
      this.frame.setAttribute('style', 'display: none;');
      var query = 'channel=' + this.es.channel + '&socket=' + socket + '&t=' + new Date().getTime();
      this.frame.setAttribute('src', origin + '/iframe?' + query);
      document.body.appendChild(this.frame);
      this.frameWindow = this.frame.contentWindow;
    },

    closeFrame: function () {
      if (this.frame) document.body.removeChild(this.frame);
      this.frame = null;
    },

    close: function () {
      this.closed = true;
      this.closeFrame();
      delete open[this.es.channel];
    },

    checkLater: function () {
      var channel = this;
      setTimeout(function () {
        if (channel.closed) return;
        if (new Date().getTime() - channel.lastEvent > 30000) channel.connect();
        channel.checkLater();
      }, 10000);
    },

    tellFrame: function (action, data) {
      this.frameWindow.postMessage(JSON.stringify({ action: action, data: data }), '*');
    },

    bind: function (type, listener) {
      (this.listeners[type] = this.listeners[type] || []).push(listener);
      if (this.frameWindow && !this.bound[type]) this.tellFrame('bind', { type: type });
    },

    receive: function (message) {
      var event = message.originalEvent;
      if (event.type !== 'error') this.lastEvent = new Date().getTime();
      if (message.eshqEvent === 'open') {
        for (var type in this.listeners) {
          this.tellFrame('bind', { type: type });
          this.bound[type] = true;
        }
        if (this.es.onopen) this.es.onopen(event);
      } else if (message.eshqEvent === 'message' && event.type === 'message') {
        if (this.es.onmessage) this.es.onmessage(event);
      } else if (message.eshqEvent === 'message') {
        this.es.lastEventId = event.lastEventId;
        (this.listeners[event.type] || []).forEach(function (listener) {
          listener(event);
        });
      } else if (message.eshqEvent === 'error') {
        if (this.es.onerror) this.es.onerror(event);
      }
    },
  };

  function ESHQ(channel, options) {
    this.channel = channel;
    this.options = options || {};
    new Channel(this);
  }

  ESHQ.prototype = {
    addEventListener: function (type, listener) {
      open[this.channel].bind(type, listener);
    },
    send: function (text) {
      open[this.channel].tellFrame('send', text);
    },
    close: function () {
      open[this.channel].close();
    },
  };

  window.addEventListener('message', function (event) {
    if (event.origin !== origin) return;
    var message = JSON.parse(event.data);
    if (message.eshqEvent && open[message.channel]) open[message.channel].receive(message);
  });

  window.ESHQ = ESHQ;
})();
