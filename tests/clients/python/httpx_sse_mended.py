"""httpx-sse, in the usual loop: it comes back with the last id, after the delay that was asked for."""

import sys
import time

import httpx
from httpx_sse import connect_sse
from report import report

last_event_id, retry = "", 3000

with httpx.Client(timeout=60) as client:
    while True:
        try:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as source:
                for sse in source.iter_sse():
                    last_event_id, retry = sse.id, sse.retry or retry
                    if sse.event == "message":
                        report(sse.id, sse.data)
        except httpx.TransportError:
            pass
        time.sleep(retry / 1000)
