// eventsource-polyfill, replaced by another one where it has closed itself. Runs like the one that is not mended.
window.received = [];
const open = (lastEventId) => {
  const source = new PolyfillEventSource(url);
  source.lastEventId = lastEventId;
  source.onmessage = (event) => received.push({ at: Date.now(), text: JSON.parse(event.data).message });
  source.onerror = () => source.readyState === source.CLOSED && setTimeout(open, 3000, source.lastEventId);
};
open(null);
