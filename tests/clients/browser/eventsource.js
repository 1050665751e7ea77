// A browser's own EventSource, as everybody uses it. Runs on a page of the node's origin, after a line with its `url`.
window.received = [];
window.source = new EventSource(url);
source.onmessage = (event) => received.push({ at: Date.now(), text: JSON.parse(event.data).message });
