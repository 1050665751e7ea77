// eventsource, as its README says. Arguments: the address, and the name that the version is installed by.
import { report } from './report.js';

const [url, name] = process.argv.slice(2);
const { EventSource } = await import(name);

const source = new EventSource(url);
source.addEventListener('message', (event) => report(event.lastEventId, event.data));
