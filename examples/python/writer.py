"""Posts each line of standard input to a room, and prints the ids: python writer.py ROOM SENDER"""

import os
import sys
import time
import uuid

import httpx

CHAT = os.environ.get("CHAT", "http://localhost:8080")


def publish(client, room, sender, message):
    """Posts until the chat has answered, and returns the id. With its key a message posted twice is stored once."""
    fields = {"sender": sender, "message": message, "key": str(uuid.uuid4())}
    while True:
        try:
            answer = client.post(f"{CHAT}/{room}", json=fields)
            if answer.is_success:
                return answer.json()["id"]
            if answer.status_code < 500 and answer.status_code != 429:
                raise SystemExit(f"refused: {answer.text}")
        except httpx.TransportError:
            pass  # it is not known whether it was stored
        time.sleep(1)


def main():
    room, sender = sys.argv[1:]
    with httpx.Client(timeout=5) as client:
        for line in sys.stdin:
            if line.strip():
                print(publish(client, room, sender, line.rstrip("\n")), flush=True)


if __name__ == "__main__":
    main()
