"""What was revoked is refused at once, by every process, and again after `state` has lost its memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common import following
from services.common.exceptions import UnauthenticatedError
from services.common.following import open_revocations
from services.common.revocations import LIFE_SECONDS, STREAM, Kind, Presented, Revocation, Revocations, fields, parse
from services.common.settings import TokenSettings
from services.common.tokens import TokenVerifier, open_token_verifier
from tests.support.servers import Server
from tests.support.tokens import Issuer, KeyServer
from tests.support.waits import until

AT = 1_800_000_000_000
SECOND = AT // 1000
GOOD = Presented("alice", "tests", "s1", "g1", "t1", AT)


def revocation(kind: Kind, target: str, at: int = AT, until: int = SECOND + LIFE_SECONDS) -> Revocation:
    return Revocation(kind, target, at, until)


def knowing(*given: Revocation, **options: Any) -> Revocations:
    revocations = Revocations(CollectorRegistry(), **{"clock": lambda: SECOND, **options})
    for one in given:
        revocations.apply(one)
    return revocations


def uuid7_of(milliseconds: int) -> str:
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | 12345))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("kind", ["user", "client"])
def test_of_a_user_or_client_what_was_issued_until_then_is_refused(kind: Kind) -> None:
    revocations = knowing(revocation(kind, "alice" if kind == "user" else "tests"))

    assert revocations.refuses(GOOD._replace(issued_ms=AT - 1))
    assert revocations.refuses(GOOD)  # in the very same millisecond: nobody can tell which came first
    assert not revocations.refuses(GOOD._replace(issued_ms=AT + 1))


@pytest.mark.parametrize(("kind", "target"), [("session", "s1"), ("grant", "g1"), ("token", "t1")])
def test_a_session_a_grant_and_a_token_never_come_back(kind: Kind, target: str) -> None:
    revocations = knowing(revocation(kind, target))

    assert revocations.refuses(GOOD._replace(issued_ms=AT + 1000))
    assert not revocations.refuses(GOOD._replace(session_id=None, grant_id=None, token_id=None))


def test_a_client_is_meant_as_the_subject_of_its_own_tokens_too() -> None:
    revocations = knowing(revocation("client", "robot"))

    assert revocations.refuses(GOOD._replace(subject="robot"))


def test_nobody_else_is_refused() -> None:
    kinds: list[Kind] = ["user", "client", "session", "grant", "token"]

    assert not knowing(*(revocation(kind, "somebody") for kind in kinds)).refuses(GOOD)
    # a target counts only as what it is
    assert not knowing(revocation("user", "tests"), revocation("session", "alice")).refuses(GOOD)


def test_the_later_of_two_counts_in_either_order() -> None:
    early, late = revocation("user", "alice", AT), revocation("user", "alice", AT + 1000)

    for order in ((early, late), (late, early)):
        assert knowing(*order).refuses(GOOD._replace(issued_ms=AT + 1000))


def test_one_is_forgotten_when_its_tokens_have_ended() -> None:
    now = [float(SECOND)]
    revocations = knowing(revocation("user", "alice"), clock=lambda: now[0])
    now[0] += LIFE_SECONDS - 1
    revocations.forget_old()
    assert revocations.refuses(GOOD)

    now[0] += 1
    revocations.forget_old()

    assert not revocations.refuses(GOOD)
    assert len(revocations) == 0


def test_no_entry_stays_longer_than_a_token_can_live() -> None:
    now = [float(SECOND)]
    revocations = knowing(revocation("user", "alice", until=SECOND * 2), clock=lambda: now[0])
    now[0] += LIFE_SECONDS
    revocations.forget_old()

    assert len(revocations) == 0


def test_beyond_the_bound_every_older_token_is_refused_and_none_issued_later() -> None:
    crowd = [revocation("user", f"user-{number}", AT + number) for number in range(10)]
    revocations = knowing(*crowd, max_entries=5)

    assert len(revocations) == 5
    assert revocations.refuses(GOOD._replace(subject="user-9", issued_ms=AT + 9))
    assert revocations.refuses(GOOD._replace(issued_ms=AT + 9))  # asked for anew, once
    assert not revocations.refuses(GOOD._replace(issued_ms=AT + 10))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {b"kind": b"user", b"target": b"a", b"at": b"1"},
        {b"kind": b"everybody", b"target": b"a", b"at": b"1", b"until": b"2"},
        {b"kind": b"user", b"target": b"", b"at": b"1", b"until": b"2"},
        {b"kind": b"user", b"target": b"a" * 300, b"at": b"1", b"until": b"2"},
        {b"kind": b"user", b"target": b"\xff", b"at": b"1", b"until": b"2"},
        {b"kind": b"user", b"target": b"a", b"at": b"-1", b"until": b"2"},
        {b"kind": b"user", b"target": b"a", b"at": b"now", b"until": b"2"},
        {b"kind": b"user", b"target": b"a", b"at": b"1", b"until": b"nan"},
        {b"kind": b"user", b"target": b"a", b"at": b"9" * 5000, b"until": b"2"},
    ],
    ids=lambda entry: str(entry)[:60],
)
def test_what_is_no_revocation_is_none(entry: dict[bytes, bytes] | None) -> None:
    assert parse(entry) is None


def test_what_is_written_is_read_back() -> None:
    written = {name.encode(): value.encode() for name, value in fields(revocation("user", "alice")).items()}

    assert parse(written) == revocation("user", "alice")


@pytest.fixture
async def state(own_redis: Server) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_redis.url) as client:
        yield client


async def told(state: Redis, kind: Kind, target: str, at: int | None = None) -> None:
    entry: Any = fields(Revocation(kind, target, at or now_ms(), int(time.time()) + LIFE_SECONDS))
    await state.xadd(STREAM, entry)


def of(subject: str) -> Presented:
    return Presented(subject, "tests", None, None, None, now_ms() - 60_000)


async def seen(*all_of_them: Revocations, subject: str) -> None:
    """Wait until every one of them refuses."""
    await until(lambda: all(one.refuses(of(subject)) for one in all_of_them), f"the revocation of {subject}")


Told = Callable[[], Awaitable[None]]


async def test_what_was_revoked_before_the_start_is_known(own_redis: Server, state: Redis) -> None:
    await told(state, "user", "alice")
    async with open_revocations(SecretStr(own_redis.url)) as revocations:
        await seen(revocations, subject="alice")
        await until(lambda: revocations._loaded, "the end of the reading")
        await revocations.ready()


async def test_what_is_revoked_now_is_heard_at_once_and_not_at_the_next_reading(
    own_redis: Server, state: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "REREAD_SECONDS", 3600.0)
    async with open_revocations(SecretStr(own_redis.url)) as one, open_revocations(SecretStr(own_redis.url)) as other:
        for number in range(20):
            await told(state, "user", f"user-{number}")
            await seen(one, other, subject=f"user-{number}")


async def test_an_entry_before_the_last_one_is_found_by_reading_everything_again(
    own_redis: Server, state: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover to a server whose clock is behind, or after the data was lost."""
    monkeypatch.setattr(following, "REREAD_SECONDS", 0.2)
    monkeypatch.setattr(following, "BLOCK_SECONDS", 0.1)
    async with open_revocations(SecretStr(own_redis.url)) as revocations:
        await told(state, "user", "alice")
        await seen(revocations, subject="alice")

        await state.flushall()
        entry: Any = fields(Revocation("user", "bob", now_ms(), int(time.time()) + LIFE_SECONDS))
        await state.xadd(STREAM, entry, id="1-1")

        await seen(revocations, subject="bob")
        assert revocations.refuses(of("alice")), "what was known is not forgotten with the server's memory"


async def test_while_state_is_away_what_is_known_stays_and_then_the_rest_comes(own_redis: Server, state: Redis) -> None:
    async with open_revocations(SecretStr(own_redis.url)) as revocations:
        await told(state, "user", "alice")
        await seen(revocations, subject="alice")
        with own_redis.stopped():
            assert revocations.refuses(of("alice"))
            assert not revocations.refuses(of("bob"))

        await state.connection_pool.disconnect()  # the test's own connection ended with the server too
        await told(state, "user", "bob")

        await seen(revocations, subject="bob")


async def test_a_server_gone_silent_is_left_and_asked_again(
    own_redis: Server, state: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "TIMEOUT_SECONDS", 1.5)
    async with open_revocations(SecretStr(own_redis.url), registry := CollectorRegistry()) as revocations:
        with own_redis.paused():
            await until(lambda: (registry.get_sample_value("revocations_silence_seconds") or 0) > 2, "silence")
        await told(state, "user", "bob")
        await seen(revocations, subject="bob")


async def test_strange_entries_are_skipped_and_counted(own_redis: Server, state: Redis) -> None:
    await state.xadd(STREAM, {"hello": "world"})
    await told(state, "user", "alice")
    registry = CollectorRegistry()
    async with open_revocations(SecretStr(own_redis.url), registry) as revocations:
        await seen(revocations, subject="alice")
        # counted once all has been read, a moment after what could be read is known
        await until(lambda: registry.get_sample_value("revocations_unreadable") == 1, "the count of strange ones")
        assert registry.get_sample_value("revocations_known") == 1


async def test_a_key_of_another_kind_does_no_harm(own_redis: Server, state: Redis) -> None:
    await state.set(STREAM, "not a stream")
    async with open_revocations(SecretStr(own_redis.url)) as revocations:
        await asyncio.sleep(0)
        await state.delete(STREAM)
        await told(state, "user", "alice")
        await seen(revocations, subject="alice")


async def test_without_state_a_process_starts_and_is_not_ready_at_once(own_redis: Server) -> None:
    own_redis.stop()
    async with open_revocations(SecretStr(own_redis.url)) as revocations:
        with pytest.raises(LookupError):
            await revocations.ready()
        assert not revocations.refuses(of("alice"))
    own_redis.start()


@pytest.fixture
async def verifier(own_redis: Server, issuer: Issuer, jwks: KeyServer) -> AsyncIterator[TokenVerifier]:
    settings = TokenSettings(
        issuer=issuer.issuer, audience=issuer.audience, jwks_url=jwks.url, state_url=SecretStr(own_redis.url)
    )
    async with open_token_verifier(settings) as verifier:
        yield verifier


async def refused(verifier: TokenVerifier, token: str) -> str | None:
    try:
        await verifier.verify(token)
    except UnauthenticatedError as error:
        return error.detail
    return None


@pytest.mark.parametrize(
    ("kind", "target"), [("user", "alice"), ("client", "tests"), ("session", "s1"), ("grant", "g1"), ("token", "")]
)
async def test_the_verifier_refuses_what_was_revoked(
    verifier: TokenVerifier, state: Redis, issuer: Issuer, kind: Kind, target: str
) -> None:
    token_id = uuid7_of(now_ms() - 1000)
    token = issuer.token(sid="s1", grant_id="g1", jti=token_id)
    assert await refused(verifier, token) is None

    await told(state, kind, target or token_id)
    await until(lambda: len(verifier.revocations or ()), "the revocation")

    assert await refused(verifier, token) == "The access token is not valid: revoked"
    other = issuer.token(sub="bob", client_id="other", sid="s2", grant_id="g2", jti=uuid7_of(now_ms() - 1000))
    assert await refused(verifier, other) is None


async def test_a_token_tells_its_millisecond_and_one_without_counts_for_all_of_its_second(
    verifier: TokenVerifier, state: Redis, issuer: Issuer
) -> None:
    at = now_ms() // 1000 * 1000 + 500
    await told(state, "user", "alice", at)
    await until(lambda: len(verifier.revocations or ()), "the revocation")

    second = at // 1000
    assert await refused(verifier, issuer.token(jti=uuid7_of(at), iat=second))
    assert await refused(verifier, issuer.token(jti=uuid7_of(at + 1), iat=second)) is None
    for other in (str(uuid4()), "t1", None, f"{{{uuid7_of(at + 1)}}}"):
        assert await refused(verifier, issuer.token(jti=other, iat=second))
        assert await refused(verifier, issuer.token(jti=other, iat=second + 1)) is None


async def test_a_token_that_outlives_the_memory_of_revocations_is_refused(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    now = int(time.time())

    assert await refused(verifier, issuer.token(iat=now, exp=now + 3600)) is None
    assert "longer" in str(await refused(verifier, issuer.token(iat=now, exp=now + 3601)))


def test_lag_is_measured_of_what_is_revoked_while_we_listen_not_of_what_was_there_before() -> None:
    registry = CollectorRegistry()
    revocations = Revocations(registry, clock=lambda: SECOND + 0.3)
    revocations.apply(revocation("user", "old"))
    assert registry.get_sample_value("revocation_lag_seconds_count") == 0

    revocations.heard(everything=True)
    for _ in range(2):  # told again it is no news
        revocations.apply(revocation("user", "alice"))

    assert registry.get_sample_value("revocation_lag_seconds_count") == 1
    assert registry.get_sample_value("revocation_lag_seconds_sum") == pytest.approx(0.3)
