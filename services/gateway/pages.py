"""The pages of the gateway itself. They load nothing from elsewhere, and browsers are told so."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from services.gateway.documents import Service

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem; color: #1c2733 }
h1 { font-weight: 600 } a { color: #0b5cad }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .5rem 1rem .5rem 0 }
th, td { border-bottom: 1px solid #d5dde5; vertical-align: top } code { font-size: .9em }
.good::before { content: "\\25CF  "; color: #1a7f37 } .bad::before { content: "\\25CF  "; color: #b42318 }
@media (prefers-color-scheme: dark) {
  body { background: #10161d; color: #dbe4ec } a { color: #6cb2f5 } th, td { border-color: #2b3945 }
}
"""
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PLAIN_POLICY = f"{NOTHING}; style-src 'sha256-{STYLE_HASH}'"
DOCS_POLICY = f"{NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"

DOCS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Slipway: the API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# the window that auth has sent back: its script hands the code to the one that opened it, which has the verifier
REDIRECT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Slipway: signed in</title>
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<script src="/docs/oauth2-redirect.js"></script>
</body>
</html>
"""
# validatorUrl: the badge would be an image from elsewhere
START_SCRIPT = """const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
  oauth2RedirectUrl: `${window.location.origin}/docs/oauth2-redirect`,
});
ui.initOAuth({clientId: "docs", usePkceWithAuthorizationCodeGrant: true});
"""


def page(title: str, body: str) -> str:
    """A page of this gateway's own."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{body}</body>\n</html>\n"
    )


def docs_missing() -> str:
    """What `/docs` says without Swagger UI."""
    return page(
        "The API's pages are not here",
        "<p>Swagger UI is not part of this gateway: it was built without it. <code>make docs-ui</code> fetches it, "
        'after which images have it too.</p>\n<p>The API is described in <a href="/openapi.json">/openapi.json</a> '
        "all the same.</p>\n",
    )


def start(version: str, failing: Sequence[str], services: Iterable[Service]) -> str:
    """What runs, in which version, and how it is; `failing` names the gateway's own checks that do not pass.

    Why they do not is for those who may read logs: a reason names addresses.
    """
    trouble = f"waits for {', '.join(failing)}" if failing else ""
    rows = [_row("gateway", version, trouble, "ready", ("/", "/docs", "/openapi.json"))]
    rows += [
        _row(service.name, service.version, _trouble(service), f"ready: {_pods(service.pods)}", service.paths)
        for service in services
    ]
    return page(
        "Slipway",
        '<p><a href="/docs">The API, to read and to try</a> · <a href="/openapi.json">its OpenAPI document</a></p>\n'
        "<table>\n<tr><th>Service</th><th>State</th><th>Version</th><th>Paths</th></tr>\n"
        + "".join(rows)
        + "</table>\n",
    )


def _trouble(service: Service) -> str:
    if not service.pods:
        return "no pod is ready"
    return "" if service.answers else f"does not answer: {_pods(service.pods)}"


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"


def _row(name: str, version: str | None, trouble: str, good: str, paths: Iterable[str]) -> str:
    state = f'<td class="bad">{escape(trouble)}</td>' if trouble else f'<td class="good">{escape(good)}</td>'
    codes = " ".join(f"<code>{escape(path)}</code>" for path in paths)
    return f"<tr><td>{escape(name)}</td>{state}<td>{escape(version or 'unknown')}</td><td>{codes}</td></tr>\n"
