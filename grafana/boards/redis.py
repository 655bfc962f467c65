"""Both Redis, by redis_exporter: the cache that forgets, the state that must not."""

from grafana.panels import ONE_IS_WELL, ORANGE, RED, Board, Row, series, stat
from grafana.queries import redis

BOARD = Board(
    uid="slipway-redis",
    title="Slipway / Redis",
    description="Both Redis: cache forgets when full, state must not.",
    source="redis_up",
    rows=(
        Row(
            "Now",
            (
                stat(
                    "Up",
                    "1 answers the exporter.",
                    "short",
                    (redis.UP, "{{service}}"),
                    thresholds=ONE_IS_WELL,
                    runbook="RedisDown",
                ),
                stat(
                    "Memory used",
                    "Of maxmemory; state refuses writes when full.",
                    "percentunit",
                    (redis.MEMORY_RATIO, "{{service}}"),
                    maximum=1,
                    thresholds=((0.8, ORANGE), (0.95, RED)),
                    runbook="StateNearlyFull",
                ),
                stat("Commands a second", "By Redis.", "ops", (redis.COMMANDS, "{{service}}")),
                stat("Clients", "Connected now.", "short", (redis.CLIENTS, "{{service}}")),
                stat(
                    "Append-only file",
                    "1: the last write to it went well.",
                    "short",
                    (redis.APPEND_ONLY_OK, "{{service}}"),
                    thresholds=ONE_IS_WELL,
                    runbook="StateNotOnDisk",
                ),
                stat(
                    "Found",
                    "Of keys asked for.",
                    "percentunit",
                    (redis.HIT_RATIO, "{{service}}"),
                    maximum=1,
                    quiet="nothing asked",
                ),
            ),
        ),
        Row(
            "Work",
            (
                series("Commands", "A second.", "ops", (redis.COMMANDS, "{{service}}")),
                series("By command", "The busiest ten.", "ops", (redis.COMMANDS_BY_NAME, "{{service}} {{cmd}}")),
                series("Time of a command", "Mean, inside Redis.", "s", (redis.MEAN_DURATION, "{{service}}")),
            ),
        ),
        Row(
            "Memory and keys",
            (
                series("Memory", "Used.", "bytes", (redis.MEMORY, "{{service}}"), width=6, runbook="StateNearlyFull"),
                series("Keys", "By database.", "short", (redis.KEYS, "{{service}} {{db}}"), width=6),
                series(
                    "Gone",
                    "Evicted for room, and expired.",
                    "ops",
                    (redis.EVICTED, "{{service}} evicted"),
                    (redis.EXPIRED, "{{service}} expired"),
                    width=6,
                ),
                series(
                    "Fragmentation",
                    "Memory of the process over memory used.",
                    "short",
                    (redis.FRAGMENTATION, "{{service}}"),
                    width=6,
                ),
            ),
        ),
        Row(
            "Clients",
            (
                series(
                    "Connected",
                    "And blocked in a command that waits.",
                    "short",
                    (redis.CLIENTS, "{{service}}"),
                    (redis.BLOCKED, "{{service}} blocked"),
                    width=12,
                ),
                series("Refused", "Over maxclients.", "ops", (redis.REJECTED, "{{service}}"), width=12),
            ),
        ),
    ),
)
