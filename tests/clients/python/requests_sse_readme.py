"""requests-sse, as its README says."""

import sys

import requests
from report import report
from requests_sse import EventSource

with EventSource(sys.argv[1], timeout=30) as event_source:
    try:
        for event in event_source:
            if event.type == "message":
                report(event.last_event_id, event.data)
    except requests.RequestException:
        pass
