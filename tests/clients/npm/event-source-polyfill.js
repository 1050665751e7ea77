// event-source-polyfill, as its README says for Node.
import polyfill from 'event-source-polyfill';
import { report } from './report.js';

const source = new polyfill.EventSourcePolyfill(process.argv[2]);
source.onmessage = (event) => report(event.lastEventId, event.data);
