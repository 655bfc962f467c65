"""Asks one service through its Kubernetes Service; run by `helm test` in the service's own image.

Arguments: host, and a protected path or nothing.
"""

# ruff: noqa: INP001, S310, T201 - a script of a pod: it is in no package, asks only http://, and prints what it saw

import json
import sys
import time
import urllib.error
import urllib.request

DEADLINE_SECONDS = 30
OK, UNAUTHORIZED = 200, 401


def get(url: str) -> tuple[int, str, bytes]:
    """Status, media type and body; a refused connection is tried again until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get_content_type(), error.read()
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{url} did not answer within {DEADLINE_SECONDS} s: {error}")
            time.sleep(1)


def expect(fact: str, holds: bool, seen: object) -> None:
    """Print the fact, or end with what was seen instead."""
    if not holds:
        sys.exit(f"not so: {fact}; seen: {seen}")
    print(f"ok: {fact}")


def main(host: str, protected: str | None = None) -> None:
    """Readiness, and the refusal of somebody without a token."""
    status, _, body = get(f"http://{host}:9000/readyz")
    expect(f"{host} is ready", status == OK, (status, body))
    if protected is None:
        return
    status, media_type, body = get(f"http://{host}:8000{protected}")
    expect(f"{protected} answers 401 without a token", status == UNAUTHORIZED, (status, body))
    expect("the refusal is a problem document", media_type == "application/problem+json", media_type)
    expect("it has a request id", bool(json.loads(body).get("request_id")), body)


if __name__ == "__main__":
    main(*sys.argv[1:])
