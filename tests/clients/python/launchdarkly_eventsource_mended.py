"""launchdarkly-eventsource with the error strategy that comes back."""

import sys

from ld_eventsource import SSEClient
from ld_eventsource.config import ErrorStrategy
from report import report

for event in SSEClient(sys.argv[1], error_strategy=ErrorStrategy.always_continue()).events:
    if event.event == "message":
        report(event.id, event.data)
