"""Metrics that come from elsewhere than the services: by the beginning of their names, from whom."""

SOURCES = {
    "pg_": "postgres_exporter",
    "redis_": "redis_exporter",
    "kube_": "kube-state-metrics",
    "container_": "the kubelet",
    "kubelet_volume_stats_": "the kubelet",
    "certmanager_certificate_": "cert-manager",
    "nginx_ingress_controller_": "ingress-nginx",
    "traefik_tls_": "Traefik",
}
OWN_OF_PROMETHEUS = {"up", "ALERTS"}


def source(metric: str) -> str:
    """Who exports it; empty for what the services export, Prometheus makes or our rules record."""
    return next((whom for beginning, whom in SOURCES.items() if metric.startswith(beginning)), "")


def is_recorded(metric: str) -> bool:
    """Whether one of our own rules makes it."""
    return metric.startswith("slipway:")
