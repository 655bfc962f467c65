"""Asking a Prometheus over its HTTP API."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

TIMEOUT_SECONDS = 30


class PrometheusError(Exception):
    """It did not answer, or refused the query; the text is its sentence."""


@dataclass(frozen=True)
class Series:
    """One line: its labels, and its points as (seconds since 1970, value)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


class Prometheus:
    """A client; use as a context manager."""

    def __init__(self, url: str) -> None:
        """Take the address, such as http://127.0.0.1:9090."""
        self._client = httpx2.Client(base_url=url.rstrip("/"), timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        """Open nothing yet: the first question does."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close connections."""
        self._client.close()

    def query(self, expr: str, *, at: float | None = None) -> list[Series]:
        """The value of each series now, or at a moment. Raises PrometheusError."""
        found = self._get("query", {"query": expr} | ({"time": at} if at else {}))
        if found["resultType"] == "scalar":
            return [Series({}, [_point(found["result"])])]
        return [Series(entry["metric"], [_point(entry["value"])]) for entry in found["result"]]

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        """The values of each series over time; times and step in seconds. Raises PrometheusError."""
        found = self._get("query_range", {"query": expr, "start": start, "end": end, "step": step})
        return [Series(entry["metric"], [_point(pair) for pair in entry["values"]]) for entry in found["result"]]

    def names(self) -> set[str]:
        """All metrics that it has. Raises PrometheusError."""
        return set(self._get("label/__name__/values", {}))

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, with labels, health and last error. Raises PrometheusError."""
        active: list[dict[str, Any]] = self._get("targets", {"state": "active"})["activeTargets"]
        return active

    def _get(self, path: str, parameters: dict[str, Any]) -> Any:
        try:
            answer = self._client.get(f"/api/v1/{path}", params=parameters)
            body = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise PrometheusError(f"Prometheus at {self._client.base_url} does not answer: {error!r}") from error
        if body.get("status") != "success":
            raise PrometheusError(f"{body.get('errorType')}: {body.get('error')}; asked: {parameters}")
        return body["data"]


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
