"""What auth counts of people and clients; each part of it counts its own besides."""

from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter

SIGN_INS = ("signed_in", "wrong_password", "wrong_code", "limited", "unavailable")
GRANTS = ("authorization_code", "refresh_token", "client_credentials")


class AuthMetrics:
    """There from the start, at zero; without a registry (commands) told to nobody."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        """Register with this registry."""
        self._sign_ins = Counter(
            "auth_sign_ins_total",
            "Attempts to sign in: an attempt with a second factor is one more",
            ["result"],
            registry=registry,
        )
        self._tokens = Counter(
            "auth_tokens_issued_total", "Answers with an access token, by grant", ["grant"], registry=registry
        )
        for result in SIGN_INS:
            self._sign_ins.labels(result)
        for grant in GRANTS:
            self._tokens.labels(grant)

    def signed_in(self) -> None:
        """Count one who is whom they say."""
        self._sign_ins.labels("signed_in").inc()

    @contextmanager
    def attempt(self, failures: dict[type[Exception], str]) -> Generator[None]:
        """Count what an attempt fails with: one of SIGN_INS for each exception."""
        try:
            yield
        except tuple(failures) as error:
            self._sign_ins.labels(failures[type(error)]).inc()
            raise

    def issued(self, grant: str) -> None:
        """Count one answer with tokens; `grant` is one that is offered."""
        self._tokens.labels(grant if grant in GRANTS else "other").inc()
