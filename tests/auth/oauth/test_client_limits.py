"""How often a client may be refused."""

import httpx2

from services.auth.main import create_app
from tests.auth.conftest import MakeSettings
from tests.auth.oauth.parties import SECRET, Parties
from tests.support.clients import app_client

TOKEN = "/oauth2/token"


async def ask(http: httpx2.AsyncClient, client_id: str, secret: str) -> httpx2.Response:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return await http.post(TOKEN, data=form)


async def test_who_guesses_secrets_is_slowed_down_and_who_knows_them_is_not(
    make_settings: MakeSettings, parties: Parties
) -> None:
    guessed, busy = (parties.app(grants=["client_credentials"]) for _ in range(2))
    settings = make_settings(sign_in_per_account=3, sign_in_per_address=1000)

    async with app_client(create_app(settings)) as http:
        guesses = [await ask(http, guessed.id, f"guess {number}") for number in range(5)]
        right_too_late = await ask(http, guessed.id, SECRET)
        of_another = [await ask(http, busy.id, SECRET) for _ in range(10)]

    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429]
    assert right_too_late.status_code == 429
    assert 1 <= int(right_too_late.headers["retry-after"]) <= 20
    assert {answer.status_code for answer in of_another} == {200}
    assert len(parties.events("client_refused", guessed)) == 3
