"""What `up` prints when everything works: the way in, and lines that can be pasted."""

import json
from pathlib import Path

from k8s.local import paths

ITEM = {"name": "Desk lamp", "price_minor": 4900, "currency": "EUR", "tags": ["light"]}


def token_command(ca: Path) -> str:
    """A line that puts an access token into TOKEN."""
    curl = f"curl -fsS --cacert {ca} -K {paths.client()} -d grant_type=client_credentials"
    return f"TOKEN=$({curl} {paths.ORIGIN}/oauth2/token | {_field('access_token')})"


def create_command(ca: Path) -> str:
    """A line that creates an item, shows it and puts its id into ITEM."""
    body = f"-H 'Content-Type: application/json' -d '{json.dumps(ITEM)}'"
    return f"ITEM=$({_curl(ca)} {body} {paths.ORIGIN}/v1/items | tee /dev/stderr | {_field('id')})"


def read_command(ca: Path) -> str:
    """A line that reads the item again."""
    return f"{_curl(ca)} {paths.ORIGIN}/v1/items/$ITEM"


def text(provider: str, why: str, kubectl: str) -> str:
    """The last screen of `up`; `kubectl` is the line that lets kubectl see this cluster."""
    ca = paths.ca_certificate()
    return f"""
Slipway is up on {provider} ({why}).

  URL      {paths.ORIGIN} (what runs there; the API is at /docs)
  CA file  {ca}
  kubectl  {kubectl}

A token for a machine, good for five minutes, by the client that was made for you:
  {token_command(ca)}

Create an item, and read it:
  {create_command(ca)}
  {read_command(ca)}

{_people()}
Where to look:
  make trace ID=…              a request's way as a tree, by its X-Request-ID or its trace's id
  make prometheus              metrics and alerts
  make load, then make preview the dashboards as pictures

make dev: edits reach the pods as you save · make status · make down
"""


def _people() -> str:
    """How people come in; the administrator's file is named for as long as it is of use."""
    said = "A token for a person, who signs in with a browser:\n  TOKEN=$(make -s token)\n"
    if paths.administrator().exists():
        said += (
            f"\nThe first administrator signs in at {paths.ORIGIN}/login, once, with the password in\n"
            f"  {paths.administrator()}\n"
        )
    return said


def _curl(ca: Path) -> str:
    return f'curl -fsS --cacert {ca} -H "Authorization: Bearer $TOKEN"'


def _field(name: str) -> str:
    return f"""python3 -c 'import json,sys; print(json.load(sys.stdin)["{name}"])'"""
