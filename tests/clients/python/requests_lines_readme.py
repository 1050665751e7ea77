"""requests alone, as answers to "Python SSE client" have it: the lines of the body, one after the other."""

import sys

import requests
from report import report

for line in requests.get(sys.argv[1], stream=True).iter_lines(decode_unicode=True):
    if line.startswith("data: {"):
        report(None, line[6:])
