"""requests alone, in the usual loop: it comes back with the last id, after the delay that was asked for."""

import sys
import time

import requests
from report import report

last_event_id, retry = None, 3000

while True:
    try:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        response = requests.get(sys.argv[1], stream=True, headers=headers, timeout=60)
        for line in response.iter_lines(decode_unicode=True):
            field, _, value = line.partition(":")
            if field == "id":
                last_event_id = value.strip()
            elif field == "retry":
                retry = int(value)
            elif line.startswith("data: {"):
                report(last_event_id, line[6:])
    except requests.RequestException:
        pass
    time.sleep(retry / 1000)
