"""What Schemathesis does beside the OpenAPI document of a node (tests/it/tools/schemathesis.rs): half of its requests are for
a room that is in use and with credentials, since made-up names and passwords get no further than a refusal."""

import base64
import os
import zlib

import schemathesis

KNOWN = {"room": "everyone", "rooms": "everyone,random", "id": os.environ["MESSAGE_ID"], "channel": "news"}
CREDENTIALS = {"dashboard": "operator:correct horse", "messages": "operator:correct horse", "apps": "shop:0123456789abcdef"}


def half_of(*what):
    # The same for the same request, so that a failure can be repeated.
    return zlib.crc32(repr(what).encode()) % 2 == 0


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    for name, value in (path_parameters or {}).items():
        if name in KNOWN and half_of(name, value):
            path_parameters[name] = KNOWN[name]
    return path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    tag = (case.operation.tags or [""])[0]
    if tag in CREDENTIALS and half_of(case.path_parameters, case.query, case.body):
        basic = base64.b64encode(CREDENTIALS[tag].encode()).decode()
        case.headers = {**(case.headers or {}), "Authorization": f"Basic {basic}"}
