// launchdarkly-eventsource, as its README says.
import launchdarkly from 'launchdarkly-eventsource';
import { report } from './report.js';

const source = new launchdarkly.EventSource(process.argv[2], { initialRetryDelayMillis: 1000, maxRetryDelayMillis: 30000 });
source.onmessage = (event) => report(event.lastEventId, event.data);
source.onerror = () => {};
