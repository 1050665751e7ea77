"""How each program prints what its library handed to it: one line of JSON for each message, or for each text that a
user's code could not have read."""

import json


def report(id, data):
    """Reads the data of a message as a user would, and prints its id and its text."""
    try:
        text = json.loads(data).get("message")
    except ValueError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        raise
    if text is not None:
        print(json.dumps({"id": id, "text": text}), flush=True)
