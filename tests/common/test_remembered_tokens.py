"""A token that was believed is believed again without its signature, and no longer than it would be without memory."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry, Counter

from services.common.exceptions import UnauthenticatedError, UnavailableError
from services.common.jwks import KeysAwayError
from services.common.remembered_tokens import RememberingVerifier
from services.common.revocations import Revocation, Revocations
from services.common.tokens import LEEWAY_SECONDS
from tests.support.tokens import Issuer


class Keys:
    """The keys of an issuer, as a test has them published."""

    def __init__(self, issuer: Issuer) -> None:
        self.published: dict[str, RSAKey] = {str(issuer.key.kid): issuer.key}
        self.away = False

    async def get(self, kid: str) -> RSAKey | None:
        if self.away:
            raise KeysAwayError
        return self.published.get(kid)

    async def ready(self) -> None:
        await self.get("")


@pytest.fixture
def keys(issuer: Issuer) -> Keys:
    return Keys(issuer)


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What had its signature computed."""
    checked: list[str] = []
    check = jws.deserialize_compact

    def noted(token: str, *args: object, **kwargs: object) -> object:
        checked.append(token)
        return check(token, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(jws, "deserialize_compact", noted)
    return checked


def remembering(
    keys: Keys, issuer: Issuer, clock: Callable[[], float] = time.time, size: int = 10, **options: Any
) -> RememberingVerifier:
    return RememberingVerifier(
        keys,
        issuer=issuer.issuer,
        audience=issuer.audience,
        revocations=Revocations(),
        clock=clock,
        size=size,
        **options,
    )


async def test_a_token_that_comes_again_has_its_signature_computed_once(
    keys: Keys, issuer: Issuer, signatures: list[str]
) -> None:
    verifier, token = remembering(keys, issuer), issuer.token()

    first, again = await verifier.verify(token), await verifier.verify(token)

    assert first == again
    assert signatures == [token]


async def test_a_token_that_differs_in_one_character_of_its_signature_is_not_the_one_that_was_believed(
    keys: Keys, issuer: Issuer
) -> None:
    verifier, token = remembering(keys, issuer), issuer.token()
    await verifier.verify(token)
    other = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]

    with pytest.raises(UnauthenticatedError, match="signature"):
        await verifier.verify(other)


async def test_a_remembered_token_expires_like_any_other(keys: Keys, issuer: Issuer) -> None:
    moment = time.time()
    verifier, token = remembering(keys, issuer, lambda: moment), issuer.token(exp=int(moment) + 60)
    await verifier.verify(token)
    moment += 60 + LEEWAY_SECONDS + 1

    with pytest.raises(UnauthenticatedError, match="expired"):
        await verifier.verify(token)


async def test_what_has_expired_is_judged_anew_although_that_takes_it_a_little_longer(
    keys: Keys, issuer: Issuer, signatures: list[str]
) -> None:
    moment = time.time()
    verifier, token = remembering(keys, issuer, lambda: moment), issuer.token(exp=int(moment) + 60)
    await verifier.verify(token)
    moment += 60

    await verifier.verify(token)

    assert signatures == [token, token]


async def test_what_was_revoked_is_refused_at_once_and_counted_once(keys: Keys, issuer: Issuer) -> None:
    verifier, token = remembering(keys, issuer), issuer.token(jti="t1")
    await verifier.verify(token)
    assert verifier.revocations is not None
    now = time.time()
    verifier.revocations.apply(Revocation("token", "t1", int(now * 1000), int(now) + 600))

    with pytest.raises(UnauthenticatedError, match="revoked"):
        await verifier.verify(token)

    assert verifier.revocations.metrics.refused._value.get() == 1


async def test_a_key_that_is_published_no_more_takes_its_tokens_with_it(keys: Keys, issuer: Issuer) -> None:
    verifier, token = remembering(keys, issuer), issuer.token()
    await verifier.verify(token)
    keys.published.clear()

    with pytest.raises(UnauthenticatedError, match="does not publish"):
        await verifier.verify(token)


async def test_another_key_under_the_same_id_is_not_the_one_that_signed(keys: Keys, issuer: Issuer) -> None:
    verifier, token = remembering(keys, issuer), issuer.token()
    await verifier.verify(token)
    keys.published[str(issuer.key.kid)] = Issuer().key

    with pytest.raises(UnauthenticatedError, match="signature"):
        await verifier.verify(token)


async def test_while_the_keys_are_away_nothing_that_is_remembered_is_believed(keys: Keys, issuer: Issuer) -> None:
    verifier, token = remembering(keys, issuer), issuer.token()
    await verifier.verify(token)
    keys.away = True

    with pytest.raises(UnavailableError):
        await verifier.verify(token)


async def test_of_more_tokens_than_fit_those_used_last_are_remembered(
    keys: Keys, issuer: Issuer, signatures: list[str]
) -> None:
    verifier = remembering(keys, issuer, size=2)
    kept, dropped, new = (issuer.token() for _ in range(3))
    for token in (kept, dropped, kept, new, kept, dropped):
        await verifier.verify(token)

    assert signatures == [kept, dropped, new, dropped]


async def test_a_refusal_is_judged_anew_each_time_unless_it_is_to_be_remembered(keys: Keys, issuer: Issuer) -> None:
    verifier, token = remembering(keys, issuer), issuer.token()
    published = dict(keys.published)
    keys.published.clear()
    with pytest.raises(UnauthenticatedError):
        await verifier.verify(token)
    keys.published.update(published)

    assert (await verifier.verify(token)).subject == "alice"


async def test_a_refusal_that_is_not_remembered_takes_no_room(
    keys: Keys, issuer: Issuer, signatures: list[str]
) -> None:
    verifier, token = remembering(keys, issuer, size=1), issuer.token()
    await verifier.verify(token)
    with pytest.raises(UnauthenticatedError):
        await verifier.verify("no token")

    await verifier.verify(token)

    assert signatures == [token]


async def test_a_refusal_that_is_remembered_says_the_same_again(keys: Keys, issuer: Issuer) -> None:
    verifier, token = remembering(keys, issuer, refused_seconds=10), issuer.token(exp=1)
    said = []
    for _ in range(2):
        with pytest.raises(UnauthenticatedError) as refused:
            await verifier.verify(token)
        said.append((refused.value.detail, refused.value.headers))

    assert said[0] == said[1]
    assert "invalid_token" in said[1][1]["WWW-Authenticate"]


@pytest.mark.parametrize("word", ["", "\ud800", "\u2603", "\0"], ids=repr)
async def test_what_is_no_token_at_all_is_refused_like_one(keys: Keys, issuer: Issuer, word: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await remembering(keys, issuer).verify(word)


async def test_refusals_are_remembered_for_as_long_as_asked(keys: Keys, issuer: Issuer, signatures: list[str]) -> None:
    moment = time.time()
    verifier = remembering(keys, issuer, lambda: moment, refused_seconds=5)
    token = issuer.token(aud="another")
    said = {await refused(verifier, token) for _ in range(3)}
    assert (len(said), len(signatures)) == (1, 1)
    moment += 5

    assert {await refused(verifier, token)} == said
    assert len(signatures) == 2


async def test_refusals_take_no_more_room_than_there_is(keys: Keys, issuer: Issuer) -> None:
    verifier = remembering(keys, issuer, size=2, refused_seconds=5)
    for number in range(50):
        await refused(verifier, f"nonsense-{number}")

    assert len(verifier._known) == 2


@pytest.mark.parametrize("size", [0, 1])
async def test_checks_are_counted_by_result(keys: Keys, issuer: Issuer, size: int) -> None:
    counter = Counter("checks", "Checks", ["result"], registry=CollectorRegistry())
    verifier, token = remembering(keys, issuer, size=size, refused_seconds=5, checks=counter), issuer.token()
    await verifier.verify(token)
    await verifier.verify(token)
    await refused(verifier, "nonsense")

    counted = {result: counter.labels(result)._value.get() for result in ("accepted", "remembered", "refused")}
    assert counted == {"accepted": 2 - size, "remembered": size, "refused": 1}


async def test_no_token_is_kept_in_memory_as_it_is(keys: Keys, issuer: Issuer) -> None:
    verifier = remembering(keys, issuer, refused_seconds=5)
    good, bad = issuer.token(), issuer.token(aud="another")
    await verifier.verify(good)
    await refused(verifier, bad)

    for token in (good, bad):
        assert token.rpartition(".")[2] not in repr(verifier._known)


async def refused(verifier: RememberingVerifier, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as error:
        await verifier.verify(token)
    return str(error.value.detail)
