"""launchdarkly-eventsource, as its reference says: the default error strategy ends it at the first cut."""

import sys

from ld_eventsource import SSEClient
from report import report

for event in SSEClient(sys.argv[1]).events:
    if event.event == "message":
        report(event.id, event.data)
