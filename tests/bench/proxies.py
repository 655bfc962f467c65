"""Other proxies before the same upstream, each with one worker on one core and its upstream connections kept."""

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

from k8s.node import archives
from tests.bench.servers import Running, process, uvicorn

BODY = '{"items":[' + ",".join(f'{{"id":"{number:032d}","name":"lamp"}}' for number in range(18)) + "]}"
"""About 1 kB, as a page of a list is."""

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error warn;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log {access};
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    keepalive_requests 1000000;
    {inside}
}}
"""
ANSWERING = """
    server {{
        {listens}
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
"""
FILES = """
    sendfile on; tcp_nopush on; open_file_cache max=100;
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type application/octet-stream; root {folder}; }}
    }}
"""
READING = """
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0; client_body_buffer_size 16m;
        location /read {{ default_type application/json; return 200 '{body}'; }}
        location / {{
            proxy_pass http://127.0.0.1:{port}/read; proxy_request_buffering on;
            proxy_method GET; proxy_pass_request_body off; proxy_set_header Content-Length "";
        }}
    }}
"""
FORWARDING = """
    upstream pods {{ {servers} keepalive 256; keepalive_requests 1000000; }}
    {zones}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {limit}
            proxy_pass http://pods; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
"""
HAPROXY = """
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    option http-keep-alive
frontend edge
    bind 127.0.0.1:{port}
    {guards}
    default_backend pods
backend pods
    http-reuse always
    server pod 127.0.0.1:{upstream}
"""
ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: pods}}}}]}}
          http_filters:
{guards}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: pods
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: pods
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""


def _nginx(
    inside: str,
    *,
    measured: bool,
    access: str = "off",
    addresses: Sequence[str] = ("127.0.0.1",),
    files: Mapping[str, int] | None = None,
    **values: object,
) -> Generator[Running]:
    def command(folder: Path, port: int) -> list[str]:
        file = folder / "nginx.conf"
        for path, size in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(b"x" * size)
        listens = " ".join(f"listen {address}:{port};" for address in addresses)
        written = inside.format(port=port, folder=folder, listens=listens, **values)
        file.write_text(NGINX.format(folder=folder, user="user nobody nogroup;", access=access, inside=written))
        return ["nginx", "-c", str(file), "-e", str(folder / "error"), "-p", str(folder)]

    with process(command, measured=measured) as running:
        yield running


@contextmanager
def upstream(addresses: Sequence[str] = ("127.0.0.1",)) -> Generator[Running]:
    """What stands behind every proxy: nginx that answers 1 kB at once, on the client's core."""
    yield from _nginx(ANSWERING, measured=False, body=BODY, addresses=addresses)


@contextmanager
def files(sizes: Mapping[str, int]) -> Generator[Running]:
    """Nginx that answers with files of so many bytes, by their path, on the client's core."""
    yield from _nginx(FILES, measured=False, files=sizes)


@contextmanager
def reader() -> Generator[Running]:
    """Nginx that answers once it has read a request's whole body, on the client's core."""
    yield from _nginx(READING, measured=False, body=BODY)


@contextmanager
def nginx(upstream_port: int, *, everything: bool = False) -> Generator[Running]:
    """Forward with nginx; with everything, it limits by address and writes its access log."""
    yield from _nginx(
        FORWARDING,
        measured=True,
        access="logs_access combined" if everything else "off",
        servers=f"server 127.0.0.1:{upstream_port};",
        zones="limit_req_zone $binary_remote_addr zone=all:1m rate=1000000r/s;" if everything else "",
        limit="limit_req zone=all burst=100000 nodelay;" if everything else "",
    )


@contextmanager
def balancing(ports: Sequence[int], *, measured: bool) -> Generator[Running]:
    """Balance with nginx, by turns."""
    servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
    yield from _nginx(FORWARDING, measured=measured, servers=servers, zones="", limit="")


@contextmanager
def haproxy(upstream_port: int) -> Generator[Running]:
    """Forward with HAProxy, one thread."""

    def command(folder: Path, port: int) -> list[str]:
        file = folder / "haproxy.cfg"
        file.write_text(HAPROXY.format(port=port, upstream=upstream_port, guards=""))
        return ["haproxy", "-f", str(file)]

    with process(command) as running:
        yield running


def envoy_command(folder: Path, text: str) -> list[str]:
    """Envoy with one worker and this configuration."""
    file = folder / "envoy.yaml"
    file.write_text(text)
    program = str(Path(sys.executable).with_name("envoy"))
    return [program, "-c", str(file), "--concurrency", "1", "--log-level", "warning"]


@contextmanager
def envoy(upstream_port: int) -> Generator[Running]:
    """Forward with Envoy, one worker; a wheel of the bench environment brings it."""

    def command(folder: Path, port: int) -> list[str]:
        return envoy_command(folder, ENVOY.format(port=port, upstream=upstream_port, guards=""))

    with process(command) as running:
        yield running


@contextmanager
def traefik(upstream_port: int, *, limit: int = 0) -> Generator[Running]:
    """Forward with Traefik on one core, with a limit by address or none; the node's own program."""
    program = str(archives.traefik())

    def command(folder: Path, port: int) -> list[str]:
        (folder / "routes.yaml").write_text(json.dumps(_routes(upstream_port, limit)))
        options = ["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=ERROR"]
        where = [f"--entryPoints.edge.address=127.0.0.1:{port}", f"--providers.file.filename={folder}/routes.yaml"]
        return [program, *options, *where]

    def forwards(port: int) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:  # it listens before it knows its routes
            return False

    with process(command, env={"GOMAXPROCS": "1"}, is_up=forwards) as running:
        yield running


def _routes(upstream_port: int, limit: int) -> dict[str, object]:
    by_address = {"rateLimit": {"average": limit, "burst": limit, "period": "1s"}}
    all_paths = {"rule": "PathPrefix(`/`)", "service": "pods", "entryPoints": ["edge"]}
    servers = [{"url": f"http://127.0.0.1:{upstream_port}"}]
    return {
        "http": {
            "routers": {"all": all_paths | ({"middlewares": ["limit"]} if limit else {})},
            "services": {"pods": {"loadBalancer": {"servers": servers}}},
        }
        | ({"middlewares": {"limit": by_address}} if limit else {})
    }


@contextmanager
def forwarding(upstream_port: int) -> Generator[Running]:
    """FastAPI and httpx."""
    env = {"UPSTREAM": f"http://127.0.0.1:{upstream_port}"}
    with uvicorn("tests.bench.apps.forwarding:app", env=env) as running:
        yield running
