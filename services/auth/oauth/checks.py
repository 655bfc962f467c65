"""What a request at the authorization endpoint must be before anybody is asked anything."""

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error  # type: ignore[import-untyped]

from services.auth.oauth.client import RegisteredClient
from services.auth.oauth.exceptions import OAuthPageError
from services.auth.oauth.requests import Parameters
from services.auth.oauth.server import Server

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
NONCE_MAX = 512
MAX_AGE_DIGITS = 9
# OpenID Connect Core 3.1.2.6
NOT_SUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


def find_target(server: Server, parameters: Parameters) -> tuple[RegisteredClient, str]:
    """Client and redirect URI, to be trusted. Raises OAuthPageError: without them nobody is sent anywhere."""
    if parameters.repeated & {"client_id", "redirect_uri"}:
        raise OAuthPageError("The application has sent its name or its address twice.")
    client = server.query_client(parameters.get("client_id") or "")
    if client is None:
        raise OAuthPageError("The application that sent you here is not registered, or is switched off.")
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None or not client.check_redirect_uri(redirect_uri):
        raise OAuthPageError("The application wants you to be sent to an address that is not registered for it.")
    return client, redirect_uri


def check_parameters(parameters: Parameters) -> None:
    """Refuse what Authlib lets pass, or quotes in its errors. Raises OAuth2Error."""
    if parameters.repeated:
        raise InvalidRequestError("A parameter is given more than once")
    for name, error in NOT_SUPPORTED.items():
        if parameters.get(name) is not None:
            raise OAuth2Error(error=error)
    response_type = parameters.get("response_type")
    if response_type is None:
        raise InvalidRequestError("response_type is missing")
    if response_type != "code":
        raise OAuth2Error("Only response_type=code is supported", error="unsupported_response_type")
    if parameters.get("response_mode") not in (None, "query"):
        raise InvalidRequestError("Only response_mode=query is supported")
    prompts = set(parameters.words("prompt"))
    if not prompts <= PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise InvalidRequestError("prompt is unknown, or none beside another")
    max_age = parameters.get("max_age")
    if max_age is not None and not (max_age.isascii() and max_age.isdigit() and len(max_age) <= MAX_AGE_DIGITS):
        raise InvalidRequestError("max_age is no number of seconds")
    if len(parameters.get("nonce") or "") > NONCE_MAX:
        raise InvalidRequestError(f"nonce is longer than {NONCE_MAX} characters")
