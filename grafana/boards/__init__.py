"""The dashboards, one a module."""

from grafana.boards import auth, gateway, items, platform, postgres, redis, rollout, service, workloads

ALL = (
    platform.BOARD,
    service.BOARD,
    gateway.BOARD,
    auth.BOARD,
    items.BOARD,
    postgres.BOARD,
    redis.BOARD,
    workloads.BOARD,
    rollout.BOARD,
)
