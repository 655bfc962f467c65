"""No service is left out."""

from tests.support.processes import ROOT

WITHOUT_TOKENS = {"common", "issuer"}  # no service, and one that believes nobody's


def test_every_service_refuses_the_tokens_of_the_table() -> None:
    services = {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")} - WITHOUT_TOKENS

    shown = {path.parent.name for path in (ROOT / "tests").glob("*/test_hostile_tokens.py")} - {"common"}
    assert {"items", "auth", "gateway"} <= services <= shown
