"""Refusals that a person sees, because there is nobody whom they could be redirected to."""

from typing import ClassVar

from services.common.exceptions import BadRequestError


class OAuthPageError(BadRequestError):
    """A request that is answered with a page, never with a redirect: its client or redirect URI is not to be trusted.

    `title` and `detail` are for people; neither quotes what was sent.
    """

    status: ClassVar[int] = 400
    title: ClassVar[str] = "This link does not work"
    slug: ClassVar[str] = "authorization-refused"
