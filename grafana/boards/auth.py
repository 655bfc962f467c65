"""Sign-ins, tokens, keys, passwords, revocations, the audit log, and what auth keeps."""

from grafana.boards import shared
from grafana.panels import ORANGE, RED, Board, Row, series, stat
from grafana.queries import auth

BOARD = Board(
    uid="slipway-auth",
    title="Slipway / Auth",
    description="Sign-ins, tokens, keys, passwords, revocations, audit log, and what auth keeps.",
    source="auth_audit_last_sequence",
    rows=(
        Row(
            "Now",
            (
                shared.RATE_NOW,
                shared.FAILED_NOW,
                stat("Signing keys", "By state.", "short", (auth.KEYS, "{{state}}"), runbook="SigningKeyNearEnd"),
                stat(
                    "Entries not sealed",
                    "Of the audit log.",
                    "short",
                    (auth.AUDIT_UNSEALED, "{{service}}"),
                    thresholds=((100, ORANGE),),
                    runbook="AuditNotSealed",
                ),
                stat(
                    "Since the last clean",
                    "It runs once a day.",
                    "dtdurations",
                    (auth.CLEAN_AGE, "{{service}}"),
                    thresholds=((129600, RED),),
                    runbook="CleanOverdue",
                    quiet="has not run yet",
                ),
                stat(
                    "Oldest revocation not told",
                    "To the other services.",
                    "s",
                    (auth.REVOCATIONS_WAITING, "{{service}}"),
                    thresholds=((5, RED),),
                    runbook="RevocationsWait",
                ),
            ),
        ),
        Row(
            "Who comes in",
            (
                series(
                    "Sign-ins",
                    "By result.",
                    "ops",
                    (auth.SIGN_INS, "{{result}}"),
                    runbook="SignInsFail",
                    quiet="nobody signed in",
                ),
                series("Tokens issued", "By grant.", "ops", (auth.TOKENS, "{{grant}}"), quiet="no token issued"),
                shared.BY_ROUTE,
                series(
                    "Refused attempts",
                    "By the limit that refused.",
                    "ops",
                    (auth.LIMITS_REFUSED, "{{limit}}"),
                    quiet="nobody tried too often",
                ),
                series(
                    "Who decided about limits",
                    "local: the limit store was away.",
                    "ops",
                    (auth.LIMITS_DECIDED, "{{by}}"),
                    runbook="LimitStoreGone",
                ),
                shared.QUANTILES,
            ),
        ),
        Row(
            "Passwords and keys",
            (
                series(
                    "Time of one hash",
                    "In its thread; median and slowest percent.",
                    "s",
                    (auth.HASH_P50, "p50"),
                    (auth.HASH_P99, "p99"),
                    width=6,
                    quiet="nobody signed in",
                ),
                series(
                    "Hashes",
                    "At work and waiting, by pod.",
                    "short",
                    (auth.HASHES_RUNNING, "{{pod}} at work"),
                    (auth.HASHES_WAITING, "{{pod}} waiting"),
                    width=6,
                    runbook="PasswordHashesRefused",
                ),
                series(
                    "Hashes refused",
                    "Answered 503: too many waited.",
                    "ops",
                    (auth.HASHES_REFUSED, "{{service}}"),
                    width=6,
                    runbook="PasswordHashesRefused",
                ),
                series(
                    "Time that keys have left",
                    "Until they stop signing or being published, by state.",
                    "dtdurations",
                    (auth.KEY_LEFT, "{{state}}"),
                    width=6,
                    runbook="SigningKeyNearEnd",
                ),
            ),
        ),
        Row(
            "Revocations and audit log",
            (
                series(
                    "Revocations told",
                    "And rounds in which the limit store was away.",
                    "ops",
                    (auth.REVOCATIONS_PUBLISHED, "told"),
                    (auth.REVOCATIONS_FAILED, "rounds failed"),
                    runbook="RevocationsWait",
                ),
                series("Entries of the audit log", "The last one's number.", "short", (auth.AUDIT_LAST, "{{service}}")),
                series(
                    "Not sealed yet",
                    "Entries outside the chain.",
                    "short",
                    (auth.AUDIT_UNSEALED, "{{service}}"),
                    runbook="AuditNotSealed",
                ),
            ),
        ),
        Row(
            "What is kept",
            (
                series(
                    "Rows",
                    "Sessions, codes, refresh tokens, entries that wait.",
                    "short",
                    (auth.ROWS, "{{table}}"),
                    width=6,
                    runbook="BacklogGrows",
                ),
                series(
                    "Oldest that should be gone",
                    "Past its retention.",
                    "dtdurations",
                    (auth.OLDEST_EXPIRED, "{{service}}"),
                    width=6,
                    runbook="CleanOverdue",
                ),
                series(
                    "Removed by the last clean",
                    "Rows, by table.",
                    "short",
                    (auth.CLEAN_REMOVED, "{{table}}"),
                    width=6,
                    quiet="has not run yet",
                ),
                series(
                    "Mail", "By what became of it.", "ops", (auth.MAILS, "{{result}}"), width=6, runbook="MailFails"
                ),
            ),
        ),
        Row(
            "Saturation",
            (
                shared.POOL,
                shared.PROCESSOR,
                shared.LAG,
            ),
        ),
    ),
)
