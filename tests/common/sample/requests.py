"""Requests to the sample as they go over the wire."""

GOOD = b"GET /v1/sample/ping HTTP/1.1\r\nHost: a\r\n"
LAST = GOOD + b"Connection: close\r\n\r\n"
POST = b"POST /v1/sample/raw HTTP/1.1\r\nHost: a\r\n"
