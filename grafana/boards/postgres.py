"""Postgres itself, by postgres_exporter."""

from grafana.panels import ONE_IS_WELL, ORANGE, RED, Board, Row, series, stat
from grafana.queries import pools, postgres

BOARD = Board(
    uid="slipway-postgres",
    title="Slipway / Postgres",
    description="Postgres itself: connections, transactions, buffers, locks, size.",
    source="pg_up",
    rows=(
        Row(
            "Now",
            (
                stat(
                    "Up",
                    "1 answers the exporter.",
                    "short",
                    (postgres.UP, "{{service}}"),
                    thresholds=ONE_IS_WELL,
                    runbook="PostgresDown",
                ),
                stat(
                    "Connections used",
                    "As a share of max_connections.",
                    "percentunit",
                    (postgres.CONNECTION_RATIO, "{{service}}"),
                    maximum=1,
                    thresholds=((0.7, ORANGE), (0.85, RED)),
                    runbook="ConnectionBudgetUsed",
                ),
                stat("At most", "max_connections.", "short", (postgres.CONNECTIONS_MAX, "{{service}}")),
                stat(
                    "All pools could hold",
                    "Of all services together.",
                    "short",
                    (pools.ALL_POOLS, "pools"),
                    runbook="ConnectionBudgetUsed",
                ),
                stat(
                    "Longest transaction",
                    "Open now, by database.",
                    "s",
                    (postgres.LONGEST_TRANSACTION, "{{datname}}"),
                    thresholds=((60, ORANGE), (300, RED)),
                    runbook="TransactionStaysOpen",
                    width=8,
                ),
            ),
        ),
        Row(
            "Connections",
            (
                series(
                    "By state",
                    "idle in transaction holds locks.",
                    "short",
                    (postgres.CONNECTIONS, "{{state}}"),
                    stacked=True,
                    runbook="ConnectionBudgetUsed",
                ),
                series(
                    "By database", "One database a service.", "short", (postgres.CONNECTIONS_BY_DATABASE, "{{datname}}")
                ),
                series(
                    "Longest transaction",
                    "Open now, by database.",
                    "s",
                    (postgres.LONGEST_TRANSACTION, "{{datname}}"),
                    runbook="TransactionStaysOpen",
                ),
            ),
        ),
        Row(
            "Work",
            (
                series("Commits", "A second, by database.", "ops", (postgres.COMMITS, "{{datname}}")),
                series(
                    "Rollbacks and deadlocks",
                    "A second, by database.",
                    "ops",
                    (postgres.ROLLBACKS, "{{datname}} rolled back"),
                    (postgres.DEADLOCKS, "{{datname}} deadlocks"),
                ),
                series(
                    "Rows",
                    "Written and fetched a second.",
                    "ops",
                    (postgres.ROWS_WRITTEN, "{{datname}} written"),
                    (postgres.ROWS_READ, "{{datname}} fetched"),
                ),
                series(
                    "Found in buffers",
                    "Of blocks read.",
                    "percentunit",
                    (postgres.BUFFER_HIT_RATIO, "{{datname}}"),
                    maximum=1,
                ),
                series(
                    "Temporary files",
                    "Bytes a second: sorts that did not fit into work_mem.",
                    "Bps",
                    (postgres.TEMPORARY, "{{datname}}"),
                ),
                series("Locks held", "By mode.", "short", (postgres.LOCKS, "{{mode}}")),
            ),
        ),
        Row(
            "Size",
            (
                series(
                    "Databases",
                    "On disk.",
                    "bytes",
                    (postgres.SIZE, "{{datname}}"),
                    width=24,
                    height=6,
                    runbook="VolumeFills",
                ),
            ),
        ),
    ),
)
