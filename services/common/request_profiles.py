"""`X-Profile: items html` on a request of an operator: the answer is the profile of that request.

The first word says which service is meant: the gateway passes the header on when it is not. Without the scope it is
404, whatever the path. The layer is there only with PROFILING.
"""

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.logging import acts
from services.common.operators import operator
from services.common.problems import problem
from services.common.profiling import MAX_SECONDS, TYPES, BusyError, Profiling, Wanted

HEADER = b"x-profile"


class RequestProfiles:
    """Profiles the requests that ask for it."""

    def __init__(self, app: ASGIApp, *, service: str, profiling: Profiling) -> None:
        """Take the service's name and the place for a profile."""
        self.app = app
        self.service = service.encode()
        self.profiling = profiling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer with a profile."""
        asked = b"" if scope["type"] != "http" else dict(scope["headers"]).get(HEADER, b"")
        words = asked.split()
        if not words or words[0] != self.service:
            await self.app(scope, receive, send)
            return
        principal = await operator(scope["state"].get("token_verifier"), Headers(scope=scope).get("authorization", ""))
        if principal is None:
            await problem(scope, 404)(scope, receive, send)
            return
        form = words[1].decode("latin-1") if len(words) > 1 else "html"
        try:
            wanted = Wanted(form, one_request=True)  # type: ignore[arg-type] # it checks
            with self.profiling.place(wanted) as profile:
                profile.start()
                try:
                    status = await self._finished(scope, receive)
                finally:
                    profile.stop()
                body = await run_in_threadpool(profile.render)
        except ValueError as error:
            await problem(scope, 400, detail=f"X-Profile: {error}")(scope, receive, send)
            return
        except BusyError:
            await problem(scope, 409, detail="A profile is being taken here already")(scope, receive, send)
            return
        acts.warning("request_profiled", subject=principal.subject, form=form, status=status)
        headers = {"Content-Type": TYPES[form], "Cache-Control": "no-store", "X-Profiled-Status": str(status)}
        await Response(body, headers=headers)(scope, receive, send)

    async def _finished(self, scope: Scope, receive: Receive) -> int:
        """Do what was asked, without sending its answer; its status, 0 when it took too long."""
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        try:
            async with asyncio.timeout(MAX_SECONDS):
                await self.app(scope, receive, note)
        except TimeoutError:
            status = 0
        return status
