// eventsource-polyfill, where a browser has no EventSource. Runs on a page of the node's origin, after the library and a
// line with its `url`.
window.received = [];
window.source = new PolyfillEventSource(url);
source.onmessage = (event) => received.push({ at: Date.now(), text: JSON.parse(event.data).message });
