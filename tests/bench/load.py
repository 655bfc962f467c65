"""The load: wrk (Debian's), one thread, on the client's cores, and whether what came out means anything."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from string import Template

from tests.bench.machine import OTHERS_MAX, cores
from tests.bench.questions import Figures, InvalidRunError
from tests.bench.usage import Moment, cpu_seconds, family, resident_mib

WARM_UP_SECONDS = 1.0
CLIENT_MAX = 0.97
"""How busy the client's core may be; beyond it the client, or what else runs there, is what was measured."""
ANSWER_SECONDS = 30

SCRIPT = Template("""
local requests = {}
local number = 0
function init(args)
  for line in io.lines("$file") do
    local request = line:gsub("\\\\(%d%d%d)", function(code) return string.char(tonumber(code)) end)
    requests[#requests + 1] = request
  end
end
function request()
  number = number % #requests + 1
  return requests[number]
end
$delay
function done(summary, latency, rest)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"seconds":%.6f,"bytes":%d,"p50_us":%.1f,"p99_us":%.1f,' ..
    '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
""")
DELAY = Template("""
math.randomseed($seed)
function delay() return -$mean_ms * math.log(1 - math.random()) end
""")


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire; `host` is filled in by the one who sends it."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def wire(self, host: str) -> bytes:
        """Its bytes (RFC 9112 3)."""
        headers = {"Host": host, **self.headers}
        if self.body:
            headers["Content-Length"] = str(len(self.body))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


@dataclass(frozen=True)
class Target:
    """Something that answers, the processes that it consists of, and what to ask it."""

    port: int
    pids: Callable[[], list[int]]
    requests: tuple[Request, ...]
    status: int = 200
    connections: int = 32
    rate: float | None = None
    """Requests a second of all connections together, at random times; None: as many as it answers."""
    body: Callable[[bytes], bool] | None = None
    """Whether an answer's body is the right one; asked once before the load."""
    client_may_be_full: bool = False
    """Where not requests a second are compared but the server's CPU for each."""
    once: bool = False
    """Whether each request can be asked only once: the last proves, a third of the others warm up, the rest is load."""

    def measure(self, seconds: float) -> Figures:
        """Warm up, then load it for so long. Raises InvalidRunError when the run says nothing.

        For no time at all it is only proved, and nothing is measured.
        """
        self.prove()
        if not seconds:
            return {}
        warm_up, load = self._shared_out()
        warm_up.run(WARM_UP_SECONDS)
        pids = family(*self.pids())
        before, used = Moment.now(), cpu_seconds(pids)
        got = load.run(seconds)
        span, used = Moment.now().since(before), cpu_seconds(pids) - used
        where = cores()
        figures = {
            "requests_per_s": got["requests"] / got["seconds"],
            "p50_ms": got["p50_us"] / 1000,
            "p99_ms": got["p99_us"] / 1000,
            "cpu_us": used / max(1.0, got["requests"]) * 1e6,
            "requests_per_cpu_s": got["requests"] / max(used, 1e-6),
            "bytes": got["bytes"] / max(1.0, got["requests"]),
            "memory_mib": resident_mib(pids),
            "server_core_busy": span.busy[where.server],
            "client_core_busy": max(span.busy[core] for core in where.others),
            "others_cores": span.others,
        }
        # beside others' work nobody can tell whose the client's core was: such a run is thrown away or marked anyway
        check(got, figures, paced=self.rate is not None or self.client_may_be_full or is_disturbed(figures))
        return figures

    def _shared_out(self) -> tuple["Target", "Target"]:
        if not self.once:
            return self, self
        third = len(self.requests) // 3
        return replace(self, requests=self.requests[:third]), replace(self, requests=self.requests[third:-1])

    def prove(self) -> None:
        """Ask each kind of request once. Raises InvalidRunError when an answer is another than it should be."""
        for request in {request.path: request for request in self.requests}.values():
            connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
            try:
                connection.request(request.method, request.path, request.body or None, dict(request.headers))
                answer = connection.getresponse()
                body = answer.read()
            except OSError as error:
                raise InvalidRunError(f"{request.method} {request.path[:80]} got no answer: {error}") from error
            finally:
                connection.close()
            if answer.status != self.status or (self.body and not self.body(body)):
                raise InvalidRunError(
                    f"{request.method} {request.path[:80]} was answered {answer.status} instead of {self.status}: "
                    f"{body[:300]!r}"
                )

    def ask_each(self) -> None:
        """Ask every request once, one after the other."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        for request in self.requests:
            connection.request(request.method, request.path, request.body or None, dict(request.headers))
            connection.getresponse().read()
        connection.close()

    def run(self, seconds: float) -> dict[str, float]:
        """One run of wrk."""
        with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
            script = Path(folder) / "load.lua"
            lines = Path(folder) / "requests"
            host = f"127.0.0.1:{self.port}"
            lines.write_text("\n".join(_escaped(request.wire(host)) for request in self.requests) + "\n")
            mean_ms = 0 if self.rate is None else self.connections / self.rate * 1000
            delay = "" if self.rate is None else DELAY.substitute(mean_ms=mean_ms, seed=int.from_bytes(os.urandom(3)))
            script.write_text(SCRIPT.substitute(file=lines, delay=delay))
            command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds:.0f}s" if seconds >= 1 else "-d1s"]
            done = subprocess.run(
                [*command, "--timeout", "10s", "-s", str(script), f"http://{host}/"],
                capture_output=True,
                text=True,
                timeout=seconds + 60,
                check=False,
            )
        return parse(done.stdout, done.stderr)


def _escaped(wire: bytes) -> str:
    """Printable, on one line: what is not, and the backslash, as three decimal digits."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\{byte:03d}" for byte in wire)


def parse(said: str, complaints: str = "") -> dict[str, float]:
    """What wrk measured. Raises InvalidRunError with what it said instead."""
    for line in said.splitlines():
        if line.startswith("RESULT "):
            return {name: float(value) for name, value in json.loads(line[7:]).items()}
    raise InvalidRunError(f"wrk told no result: {(said + complaints).strip()[-500:]}")


def check(got: Mapping[str, float], figures: Mapping[str, float], *, paced: bool) -> None:
    """Raise InvalidRunError for a run with errors, or one that measured the client."""
    errors = {name: int(got[name]) for name in ("connect", "read", "write", "status", "timeout") if got[name]}
    if errors:
        told = ", ".join(f"{count} {name}" for name, count in errors.items())
        raise InvalidRunError(f"requests failed: {told} errors among {got['requests']:.0f}")
    if not got["requests"]:
        raise InvalidRunError("not one request was answered")
    if not paced and figures["client_core_busy"] > CLIENT_MAX:
        raise InvalidRunError(
            f"the client's core was {figures['client_core_busy']:.0%} busy: the client was measured, not the server"
        )


def is_disturbed(figures: Mapping[str, float]) -> bool:
    """Whether others had more of the machine during a run than is allowed."""
    return figures.get("others_cores", 0) > OTHERS_MAX
