"""A stack is told by its deepest frame that belongs to a layer."""

import pytest

from tests.bench.profiles import LAYERS, OTHER, layer, split

SERVER = "run (/venv/uvicorn/server.py:1);data_received (/app/services/common/protocol.py:2)"
ROUTED = f"{SERVER};__call__ (/venv/starlette/routing.py:3);get_item (/app/services/items/router.py:4)"


@pytest.mark.parametrize(
    ("stack", "wanted"),
    [
        (SERVER, "server"),
        (ROUTED, "routing"),
        (f"{ROUTED};execute (/venv/sqlalchemy/engine.py:5);sub (/usr/lib/python3/re.py:6)", "Postgres"),
        (f"{ROUTED};find (/app/services/items/cache.py:5);send (/venv/redis/client.py:6)", "Redis"),
        (f"{ROUTED};get (/app/services/items/service.py:5)", "service"),
        (f"{SERVER};take (/app/services/gateway/limits.py:5)", "limits"),
        (f"{SERVER};send (/app/services/gateway/http1.py:5)", "forwarding"),
        ("<module> (/app/main.py:1)", OTHER),
    ],
)
def test_the_deepest_frame_that_a_layer_claims_decides(stack: str, wanted: str) -> None:
    assert layer(stack) == wanted


def test_all_samples_of_the_serving_thread_belong_somewhere_and_no_others_are_counted() -> None:
    waiting = "Thread._bootstrap (/usr/lib/python3/threading.py:1);worker (/venv/opentelemetry/sdk/export.py:2)"
    stacks = [(SERVER, 3), (ROUTED, 4), ("x (y.py:1)", 5), (waiting, 100)]

    assert split(stacks).total() == 12
    assert OTHER not in LAYERS
