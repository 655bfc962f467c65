"""The client that `up` makes in the release: once, in a file of its owner's, anew when it is of no use."""

import json
import stat
from collections.abc import Mapping

import pytest

from k8s.local import credentials, edge, paths
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from tests.k8s.local.conftest import Programs

CLUSTER = Cluster("context", "", context="team")
OPERATOR = "kubectl --context=team -n slipway exec deploy/slipway-auth -c auth -- python -m services.auth"
CLIENTS, USERS = f"{OPERATOR} clients", f"{OPERATOR} users"
FIRST = "one-time password: F1RST\ngood until 2999-01-01 00:00:00Z, once, to choose another"
ANOTHER = "one-time password: AN0THER\ngood until 2999-01-01 00:00:00Z, once, to choose another"


class Auth:
    """Which clients get a token, and which secrets asked for one."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.answer = ""

    def ask(self, path: str, *, form: Mapping[str, str] | None = None, basic: str = "") -> str:
        assert path == "/oauth2/token"
        assert form is not None
        return self.answer or ("200" if basic in self.good else "401")


@pytest.fixture
def auth(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Auth:
    programs.add("kubectl")
    programs.answer(f"{CLIENTS} list", json.dumps({"id": "somebodys"}))
    programs.answer(f"{CLIENTS} create make up", json.dumps({"id": "client-1", "secret": "s3cret"}))
    programs.answer(f"{USERS} list", "018f  enabled   bob@slipway.test  viewer")
    programs.answer(f"{USERS} first-administrator {credentials.ADMINISTRATOR}", FIRST)
    programs.answer(f"{USERS} one-time-password {credentials.ADMINISTRATOR}", ANOTHER)
    made = Auth()
    made.good = {"Y2xpZW50LTE6czNjcmV0"}  # client-1:s3cret
    monkeypatch.setattr(edge, "ask", made.ask)
    return made


def created(programs: Programs, name: str = "make up") -> int:
    return sum("create" in call and name in call for call in programs.calls)


def test_the_first_up_makes_a_client_that_only_its_owner_reads(auth: Auth, programs: Programs) -> None:
    del auth

    credentials.ensure(CLUSTER)

    assert paths.client().read_text() == 'user = "client-1:s3cret"\n'
    assert stat.S_IMODE(paths.client().stat().st_mode) == 0o600
    assert created(programs) == 1
    assert "s3cret" not in str(programs.calls)


def test_the_next_up_keeps_it(auth: Auth, programs: Programs) -> None:
    del auth
    credentials.ensure(CLUSTER)

    credentials.ensure(CLUSTER)

    assert created(programs) == 1


@pytest.mark.parametrize("content", ['user = "client-0:of-another-database"\n', "", "user ="])
def test_a_client_that_gets_no_token_is_replaced(auth: Auth, programs: Programs, content: str) -> None:
    del auth
    paths.client().parent.mkdir(parents=True)
    paths.client().write_text(content)

    credentials.ensure(CLUSTER)

    assert paths.client().read_text() == 'user = "client-1:s3cret"\n'
    assert created(programs) == 1


def test_an_auth_that_is_in_trouble_gets_no_further_client(auth: Auth, programs: Programs) -> None:
    credentials.ensure(CLUSTER)
    auth.answer = "503"

    with pytest.raises(LocalError, match="answers 503"):
        credentials.ensure(CLUSTER)

    assert created(programs) == 1


def test_a_new_client_that_gets_no_token_is_an_error(auth: Auth) -> None:
    auth.good = set()

    with pytest.raises(LocalError, match="gets no token"):
        credentials.ensure(CLUSTER)


def test_the_client_of_make_token_is_made_once_and_has_no_secret(auth: Auth, programs: Programs) -> None:
    del auth

    credentials.ensure(CLUSTER)
    paths.client().unlink()
    programs.answer(f"{CLIENTS} list", json.dumps({"id": "cli"}))
    credentials.ensure(CLUSTER)

    [made] = [call for call in programs.calls if "make token" in call]
    assert {"--public", "--first-party", "http://127.0.0.1/callback"} <= set(made)


def administrator(programs: Programs, state: str) -> None:
    programs.answer(f"{USERS} list", f"018f  {state:8}  {credentials.ADMINISTRATOR}  admin")


def test_the_first_administrator_is_made_with_a_password_that_only_the_files_owner_reads(
    auth: Auth, programs: Programs
) -> None:
    del auth

    credentials.ensure(CLUSTER)

    assert paths.administrator().read_text() == f"e-mail: {credentials.ADMINISTRATOR}\n{FIRST}\n"
    assert stat.S_IMODE(paths.administrator().stat().st_mode) == 0o600
    assert "F1RST" not in str(programs.calls)


def test_a_password_that_nobody_has_used_is_kept(auth: Auth, programs: Programs) -> None:
    del auth
    credentials.ensure(CLUSTER)
    administrator(programs, "one-time")

    credentials.ensure(CLUSTER)

    assert "F1RST" in paths.administrator().read_text()


def test_after_the_first_sign_in_the_file_is_gone_and_nobody_is_asked_again(auth: Auth, programs: Programs) -> None:
    del auth
    credentials.ensure(CLUSTER)
    administrator(programs, "enabled")
    credentials.ensure(CLUSTER)
    assert not paths.administrator().exists()
    before = len(programs.calls)

    credentials.ensure(CLUSTER)

    assert len(programs.calls) == before


@pytest.mark.parametrize("content", ["", "good until 2020-01-01 00:00:00Z, once"])
def test_a_password_that_ran_out_unused_or_was_lost_is_replaced(auth: Auth, programs: Programs, content: str) -> None:
    del auth
    credentials.ensure(CLUSTER)
    administrator(programs, "one-time")
    paths.administrator().write_text(content)

    credentials.ensure(CLUSTER)

    assert "AN0THER" in paths.administrator().read_text()


def test_where_somebody_else_administers_none_is_made(auth: Auth, programs: Programs) -> None:
    del auth
    programs.answer(f"{USERS} list", "018f  enabled   carol@slipway.test  viewer admin")

    credentials.ensure(CLUSTER)

    assert not paths.administrator().exists()
    assert not any("first-administrator" in call for call in programs.calls)
