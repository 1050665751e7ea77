"""aiohttp-sse-client, as its README says."""

import asyncio
import sys

from aiohttp_sse_client import client as sse_client
from report import report


async def main():
    async with sse_client.EventSource(sys.argv[1]) as event_source:
        try:
            async for event in event_source:
                if event.type is None:
                    report(event.last_event_id, event.data)
        except ConnectionError:
            pass


asyncio.run(main())
