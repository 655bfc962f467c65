"""A server of items that lies: it keeps every promise but for the one fault that a test plants."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

PROBLEM = "application/problem+json"


@dataclass
class Liar:
    """The rows, the kept keys, and which fault meets each third request of a method."""

    fault: str = ""
    method: str = "POST"
    token_seconds: float = 300
    sign_ins: int = 0  # so many succeed when the fault is one of signing in
    rows: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""
    _keys: set[str] = field(default_factory=set)
    _asked: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self) -> httpx2.Client:
        """A client of it, in the clear: certificates take longer to load than a test takes."""
        return httpx2.Client(base_url=self.url, timeout=30, trust_env=False, verify=False)

    def lies(self, method: str) -> str:
        """The fault that this request meets."""
        self._asked[method] = self._asked.get(method, 0) + 1
        # registers are opened before the faults begin
        return self.fault if method == self.method and self._asked[method] > 4 and self._asked[method] % 3 == 0 else ""

    def create(self, key: str, name: str, value: int, fault: str) -> None:
        """Keep it once for its key."""
        if fault == "forgets the key":
            self.rows.append((name, value))
        elif key not in self._keys and fault != "drops the write":
            self._keys.add(key)
            self.rows += [(name, value)] * (2 if fault == "doubles the write" else 1)

    def replace(self, name: str, value: int, fault: str) -> None:
        """The row under this name."""
        if fault != "drops the write":
            self.rows = [(each, value if each == name else held) for each, held in self.rows]

    def found(self, name: str, fault: str) -> dict[str, Any]:
        """The item under this name."""
        value = next(held for each, held in self.rows if each == name)
        return {
            "name": "another's" if fault == "another's item" else name,
            "price_minor": max(0, value - 1) if fault == "stale" else value,
        }

    def listed(self, prefix: str, fault: str) -> list[dict[str, Any]]:
        """The last of the names that begin so."""
        names = sorted(name for name, _ in self.rows if name.startswith(prefix))
        skipped = 1 if fault == "stale" else 0
        return [self.found(name, "") for name in names[: len(names) - skipped][-1:]]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    liar: Liar

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/oauth2/token":
            self._sign_in()
            return
        item = json.loads(body)
        with self.liar._lock:
            fault = self.liar.lies("POST")
            if not self._refused(fault):
                self.liar.create(self.headers["idempotency-key"], item["name"], item["price_minor"], fault)
                answered = {**item, "name": "another's"} if fault == "another's item" else item
                self._answer(201, answered, fault, Location=f"/v1/items/{item['name']}")

    def do_PUT(self) -> None:
        item = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.liar._lock:
            fault = self.liar.lies("PUT")
            if not self._refused(fault):
                self.liar.replace(item["name"], item["price_minor"], fault)
                self._answer(200, item, fault)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        one = url.path != "/v1/items"
        with self.liar._lock:
            fault = self.liar.lies("GET" if one else "LIST")
            if self._refused(fault):
                return
            if one:
                self._answer(200, self.liar.found(url.path.rpartition("/")[2], fault), fault)
            else:
                self._answer(200, {"items": self.liar.listed(parse_qs(url.query)["name_prefix"][0], fault)}, fault)

    def _sign_in(self) -> None:
        self.liar.sign_ins -= 1
        if self.liar.fault.startswith("sign-in") and self.liar.sign_ins < 0:
            self._answer(int(self.liar.fault[-3:]), {"error": "invalid_client"}, "")
        else:
            self._answer(200, {"access_token": "t", "expires_in": self.liar.token_seconds}, "")

    def _refused(self, fault: str) -> bool:
        if not fault[:3].isdigit():
            return False
        status, _, way = fault.partition(" ")
        if way == "bare":
            self._answer(int(status), {}, "")
        else:
            self._answer(int(status), {}, "", **{"Content-Type": PROBLEM, "Retry-After": "0"})
        return True

    def _answer(self, status: int, content: object, fault: str, **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "slow":
            time.sleep(0.7)
        self.close_connection = fault in {"closes", "forgets the key"}
        self.wfile.write(body[: len(body) // 2] if self.close_connection else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def lying(liar: Liar) -> Iterator[Liar]:
    """The server for as long as the block lasts."""
    handler = type("Lying", (Handler,), {"liar": liar})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        liar.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield liar
        finally:
            server.shutdown()
            thread.join()
