"""aiohttp-sse-client in a loop: a body that was cut off ends it with an error, after which a new one continues."""

import asyncio
import sys

import aiohttp
from aiohttp_sse_client import client as sse_client
from report import report


async def main():
    last_event_id = ""
    while True:
        try:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            async with sse_client.EventSource(sys.argv[1], headers=headers, timeout=None) as event_source:
                async for event in event_source:
                    last_event_id = event.last_event_id or last_event_id
                    if event.type is None:
                        report(event.last_event_id, event.data)
        except (ConnectionError, aiohttp.ClientError):
            await asyncio.sleep(3)


asyncio.run(main())
