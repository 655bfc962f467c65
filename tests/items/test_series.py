"""What strangers send makes no new series, however much of it there is."""

from services.items.main import create_app
from tests.items.conftest import MakeSettings
from tests.support.clients import app_client, until_ready
from tests.support.series import COUNT, TURN, flood, series, words
from tests.support.tokens import Issuer

USERS = 300


async def test_ten_thousand_ids_paths_users_and_methods_leave_the_number_of_series_unchanged(
    make_settings: MakeSettings, issuer: Issuer
) -> None:
    app = create_app(make_settings())
    users = [issuer.token(sub=f"user-{number}") for number in range(USERS)]
    async with app_client(app) as client:
        await until_ready(app)
        port = int(client.base_url.port or 0)
        await flood(port, "/v1/items/{id}", users, 4 * TURN)
        await words(port, 1)
        before = series(app)

        await flood(port, "/v1/items/{id}", users)
        await words(port, 100)

        assert series(app) == before
        counted = app.state.registry.get_sample_value
        assert counted("http_requests_total", {"method": "_OTHER", "handler": "none", "status": "404"}) > COUNT / 10
