"""em-eventsource of RubyGems, replayed: the requests that it sends, and what it makes of the answers, without Ruby.

Arguments: the address, and the version, 0.1.0 or 0.3.2. The rules are those of github.com/francois2metz/em-eventsource
and of em-http-request, whose request fails if a chunked body has no end, and succeeds if a body without length ends.
"""

import http.client
import re
import sys
import time
from urllib.parse import urlsplit

from report import report

address, version = urlsplit(sys.argv[1]), sys.argv[2]
is_old = version == "0.1.0"
last_event_id, retry = None, 3.0


def stripped(line, field):
    """Returns the value of a field, and whether there was white space to strip."""
    found = re.match(f"^{field}:(.+)$", line)
    return (found[1].strip(), found[1] != found[1].strip()) if found else (None, False)


def handle_block(block):
    global last_event_id, retry
    data, name = [], None
    for line in block.split("\n"):
        value, _ = stripped(line, "data")
        if value is not None:
            data.append(value)
        value, _ = stripped(line, "id")
        if value is not None:
            last_event_id = value
        value, _ = stripped(line, "event")
        if value is not None:
            name = value
        value, had_space = stripped(line, "retry")
        # `strip!` returns nil where there is nothing to strip, and the delay then stays what it was.
        if value is not None and had_space and value.isdecimal():
            retry = int(value) if is_old else int(value) // 1000
    if name is None and (data or is_old):
        report(last_event_id, "\n".join(data))


def listen():
    """Reads one stream. Returns whether its body was complete."""
    connection = http.client.HTTPConnection(address.netloc, timeout=10 if is_old else 60)
    headers = {"Cache-Control": "no-cache"} | ({} if is_old else {"Accept": "text/event-stream"})
    if last_event_id is not None:
        headers["Last-Event-Id"] = last_event_id
    try:
        connection.request("GET", f"{address.path}?{address.query}", headers=headers)
        response = connection.getresponse()
        content_type = response.getheader("Content-Type", "")
        if not is_old and (response.status != 200 or not content_type.startswith("text/event-stream")):
            sys.exit(f"{response.status} {content_type}")  # closed for good
        buffer = b""
        while chunk := response.read1():
            buffer += chunk
            while b"\n\n" in buffer:
                block, _, buffer = buffer.partition(b"\n\n")
                handle_block(block.decode(errors="replace"))
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


while True:
    try:
        is_complete = listen()
    except ValueError:
        break  # an exception in a callback ends the reactor, and the program with it
    if is_complete and is_old:
        break  # 0.1.0 listens to the failure of its request only, and waits for ever
    time.sleep(retry)
