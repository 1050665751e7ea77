"""sseclient-py over requests, as its README says."""

import sys

import requests
import sseclient
from report import report

response = requests.get(sys.argv[1], stream=True)
for event in sseclient.SSEClient(response).events():
    if event.event == "message":
        report(event.id, event.data)
