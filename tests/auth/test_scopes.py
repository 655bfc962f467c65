"""The list of scopes, and what relies on it."""

from importlib import import_module

from services.auth.scopes import OPENID_SCOPES, SCOPES


def test_every_scope_has_a_sentence_that_a_page_can_show() -> None:
    assert all(sentence[0].isupper() and not sentence.endswith(".") for sentence in SCOPES.values())
    assert len(set(SCOPES.values())) == len(SCOPES)


def test_what_is_about_the_person_is_on_the_list() -> None:
    assert {*SCOPES} > OPENID_SCOPES


def test_the_roles_of_the_beginning_hold_scopes_of_the_list() -> None:
    roles = import_module("services.auth.migrations.versions.0001_auth").ROLES

    assert {scope for _, scopes in roles.values() for scope in scopes} <= {*SCOPES}
