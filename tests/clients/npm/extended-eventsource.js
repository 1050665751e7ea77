// extended-eventsource, as its README says.
import { EventSource } from 'extended-eventsource';
import { report } from './report.js';

const source = new EventSource(process.argv[2]);
source.onmessage = (event) => report(event.lastEventId, event.data);
