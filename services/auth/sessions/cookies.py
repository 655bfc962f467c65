"""The cookie of a session: of this host alone, never read by a script, never sent in the clear (RFC 6265bis 4.1)."""

from starlette.responses import Response

COOKIE = "__Host-session"  # browsers take this prefix only with Secure, Path=/ and no Domain


def set_cookie(response: Response, value: str, max_age: int) -> None:
    """Give the browser the session's value for so many seconds. Lax: links from elsewhere find one signed in."""
    response.set_cookie(COOKIE, value, max_age=max_age, path="/", secure=True, httponly=True, samesite="lax")


def clear_cookie(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
