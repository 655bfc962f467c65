"""The trace that a request belongs to (W3C Trace Context), and whether it is recorded: decided before anything else.

Imported whether traces are on or off, so it knows nothing of the SDK.
"""

import os
import random
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
NO_TRACE, NO_PARENT = b"0" * 32, b"0" * 16
SAMPLED = 1

# what the standard OTEL_TRACES_SAMPLER may say: whether a caller's decision counts, and whether the ratio is asked
SAMPLERS = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}


@dataclass(frozen=True, slots=True)
class Parent:
    """What a caller says: the trace, its own span, and whether it records."""

    trace_id: str
    span_id: str
    sampled: bool


def read_parent(headers: Iterable[tuple[bytes, bytes]]) -> Parent | None:
    """The caller's trace; None without one, and for what is none: two of them, another form, zeros."""
    values = [value for name, value in headers if name == b"traceparent"]
    if len(values) != 1:
        return None
    found = TRACEPARENT.fullmatch(values[0])
    if found is None:
        return None
    version, trace_id, span_id, flags = found.groups()
    longer = version == b"00" and len(values[0]) != found.end(4)
    if version == b"ff" or longer or trace_id == NO_TRACE or span_id == NO_PARENT:
        return None
    return Parent(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & SAMPLED))


def new_trace_id() -> str:
    """A random one."""
    return secrets.token_hex(16)


def unrecorded(trace_id: str) -> bytes:
    """The `traceparent` to forward of a request that is not recorded: whoever gets it does not record it either."""
    return f"00-{trace_id}-{secrets.token_hex(8)}-00".encode()


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which requests are recorded."""

    ratio: float
    asks_parent: bool

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> "Sampler":
        """As the standard variables say; `wrong_tracing` has refused what they cannot."""
        asks_parent, fixed = SAMPLERS[environ.get("OTEL_TRACES_SAMPLER", "").strip() or "parentbased_always_on"]
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or 1) if fixed is None else fixed
        return cls(ratio, asks_parent)

    def records(self, parent: Parent | None) -> bool:
        """Whether to record a request; a trace is recorded as a whole where callers are asked."""
        if parent is not None and self.asks_parent:
            return parent.sampled
        return random.random() < self.ratio
