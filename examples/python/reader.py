"""Prints the messages of a room, each once and in order: python reader.py ROOM [LAST_ID]"""

import os
import sys
import time

import httpx
from httpx_sse import connect_sse

CHAT = os.environ.get("CHAT", "http://localhost:8080")


def events(room, last_event_id=""):
    """Yields the events of a room: after an id, or the last 50 messages first."""
    url, retry = f"{CHAT}/subscribe/{room}", 3000
    query = {"history": "50", "text": "plain"}
    # Longer than the heartbeat, which comes after 15 s of silence.
    with httpx.Client(timeout=60) as client:
        while True:
            try:
                headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
                with connect_sse(client, "GET", url, params=query, headers=headers) as source:
                    for sse in source.iter_sse():
                        last_event_id, retry = sse.id, sse.retry or retry
                        yield sse
            except httpx.TransportError:
                pass  # cut off, or refused: it goes on after the last id
            time.sleep(retry / 1000)


def main():
    for sse in events(*sys.argv[1:]):
        if sse.event == "message":
            message = sse.json()
            print(f"{message['sender']}: {message['message']}", flush=True)
        elif sse.event == "gap":
            print("Some messages are missing here.", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
