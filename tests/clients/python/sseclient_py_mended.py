"""sseclient-py over requests, in the usual loop: it comes back with the last id, after the delay that was asked for."""

import sys
import time

import requests
import sseclient
from report import report

last_event_id, retry = None, 3000

while True:
    try:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        response = requests.get(sys.argv[1], stream=True, headers=headers, timeout=60)
        for event in sseclient.SSEClient(response).events():
            last_event_id, retry = event.id or last_event_id, int(event.retry or retry)
            if event.event == "message":
                report(event.id, event.data)
    except requests.RequestException:
        pass
    time.sleep(retry / 1000)
