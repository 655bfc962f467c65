"""Versions side by side while one replaces the other."""

from grafana.boards import shared
from grafana.panels import RED, Board, Row, series, table
from grafana.queries import pools, rollout, runtime

BOARD = Board(
    uid="slipway-rollout",
    title="Slipway / Rollout",
    description="Versions side by side: is the new one worse than the old one?",
    source="slipway_build_info",
    rows=(
        Row(
            "Versions",
            (
                series("Pods", "By version.", "short", (rollout.PODS, "{{service}} {{version}}"), stacked=True),
                table("What runs", "Pods by version.", (runtime.VERSIONS, "pods", "short"), width=8),
                table(
                    "Migrations",
                    "Applied in each service's database, and whether its head is missing.",
                    (pools.MIGRATIONS, "applied", "short"),
                    width=8,
                    runbook="MigrationPending",
                ),
            ),
        ),
        Row(
            "Old against new",
            (
                series("Requests a second", "By version.", "reqps", (rollout.RATE, "{{service}} {{version}}")),
                series(
                    "Failed requests",
                    "Answers 5xx, as a share of the version's.",
                    "percentunit",
                    (rollout.ERROR_RATIO, "{{service}} {{version}}"),
                    thresholds=((0.01, RED),),
                    runbook="ErrorBudgetBurnsFast",
                ),
                series(
                    "Duration",
                    "Median and slowest percent, by version.",
                    "s",
                    (rollout.P50, "{{service}} {{version}} p50"),
                    (rollout.P99, "{{service}} {{version}} p99"),
                    exemplars=True,
                    runbook="AnswersSlow",
                ),
                series("Processor", "Cores in use, by version.", "short", (rollout.CPU, "{{service}} {{version}}")),
                series("Memory of a pod", "Mean, by version.", "bytes", (rollout.MEMORY, "{{service}} {{version}}")),
                shared.RUNNING_SINCE,
            ),
        ),
        Row(
            "Ready?",
            (
                series(
                    "Migration pending",
                    "1: pods of this version wait for their head in `schema_history`.",
                    "short",
                    (pools.MIGRATION_PENDING, "{{service}}"),
                    width=12,
                    height=5,
                    runbook="MigrationPending",
                ),
                series(
                    "Checks failing",
                    "Readiness checks, by service.",
                    "short",
                    (runtime.CHECKS_FAILING, "{{service}}"),
                    width=12,
                    height=5,
                    runbook="ReadinessCheckFails",
                ),
            ),
        ),
    ),
)
