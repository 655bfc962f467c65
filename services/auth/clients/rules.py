"""What a client may be: combinations that could never work, or not safely, are refused with what would be right."""

from collections.abc import Iterator

from services.auth.clients.exceptions import ImpossibleClientError
from services.auth.clients.models import Client
from services.auth.clients.redirect_uris import is_private_use
from services.auth.scopes import OPENID_SCOPES

PERSONAL = OPENID_SCOPES | {"users:self"}


def usual_grant_types(redirect_uris: list[str], scopes: list[str]) -> list[str]:
    """Those of a client that names none: a person's when people can be sent back to it, else a machine's."""
    if not redirect_uris:
        return ["client_credentials"]
    return ["authorization_code", *(["refresh_token"] if "offline_access" in scopes else [])]


def check(client: Client) -> None:
    """Raises ImpossibleClientError with the first thing that is wrong."""
    for sentence in _wrong(client):
        raise ImpossibleClientError(sentence)


def _wrong(client: Client) -> Iterator[str]:
    public, grants, scopes = client.authentication_method == "none", {*client.grant_types}, {*client.scopes}
    with_people = "authorization_code" in grants
    if not grants:
        yield "A client needs a grant type: authorization_code where people sign in, client_credentials for a machine."
    if public and "client_credentials" in grants:
        yield "A public client has no secret, so it cannot have client_credentials; register one with a secret."
    if with_people and not client.redirect_uris:
        yield "authorization_code needs a redirect URI, to which people come back."
    if not with_people and (client.redirect_uris or client.post_logout_redirect_uris):
        yield "Redirect URIs are for clients with authorization_code; add that, or leave them out."
    if not with_people and "refresh_token" in grants:
        yield "refresh_token goes with authorization_code; a machine asks for another token with its secret."
    if not with_people and (personal := scopes & PERSONAL):
        yield f"{_words(personal)}: about a person who signs in, so not for a client without authorization_code."
    if "offline_access" in scopes and "refresh_token" not in grants:
        yield "offline_access needs the grant type refresh_token."
    if "refresh_token" in grants and "offline_access" not in scopes:
        yield "refresh_token needs the scope offline_access: without it no refresh token is given."
    if not public and any(map(is_private_use, client.redirect_uris)):
        yield "A scheme of the app's own is for native apps, which are public clients: they cannot keep a secret."


def _words(scopes: set[str]) -> str:
    return " ".join(sorted(scopes))
