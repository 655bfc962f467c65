"""Auth and what the others hear from it: keys, revocations, audit log, mail, passwords, what is kept too long."""

from grafana.alerts.model import BY, Alert, Proof, labels, series, share

_SIGNING = 'auth_signing_key_expiry_timestamp_seconds{state="signing"}'
_LAG = "revocation_lag_seconds_bucket"
_SIGN_INS = "auth_sign_ins_total"


_PASSING = 'auth_rows{table!~"users|clients|audit_entries"}'


def _grown(metric: str, by: str) -> str:
    return f"max by ({by}) ({metric}) > 1.5 * max by ({by}) ({metric} offset 1d) and max by ({by}) ({metric}) > 10000"


ALERTS = (
    Alert(
        "SigningKeyNearEnd",
        # in its last hour a key has a successor, which is published; past its end it should have retired
        f'max by ({BY}) ({_SIGNING}) - time() < 1800 unless on ({BY}) auth_signing_keys{{state="published"}} > 0'
        f" or max by ({BY}) ({_SIGNING}) - time() < -900",
        5,
        "critical",
        "{{ $labels.service }} has no key for half an hour from now: the rotation does not run",
        Proof(
            {series("auth_signing_key_expiry_timestamp_seconds", "auth", state="signing"): "2400x40"},
            16,
            labels("auth"),
        ),
    ),
    Alert(
        "TokenKeysAway",
        f'sum by ({BY}) (rate(token_key_fetches_total{{result="failed"}}[5m])) > 0',
        10,
        "critical",
        "{{ $labels.service }} cannot fetch the keys by which tokens are checked",
        Proof({series("token_key_fetches_total", result="failed"): "0x4 1+1x30"}, 15, labels("items")),
    ),
    Alert(
        "RevocationsSilent",
        f"max by ({BY}, pod) (revocations_silence_seconds) > 5",
        1,
        "critical",
        "Pod {{ $labels.pod }} has not heard from `state`: it may believe a token that was revoked",
        Proof({series("revocations_silence_seconds", pod="items-1"): "0x4 60x20"}, 6, labels("items", pod="items-1")),
    ),
    Alert(
        "RevocationsLate",
        f"histogram_quantile(0.99, sum by ({BY}, le) (rate({_LAG}[10m]))) > 1",
        5,
        "warning",
        "Revocations reach {{ $labels.service }} more than a second late",
        Proof(
            {
                series(_LAG, le="1.0"): "0x40",
                series(_LAG, le="5.0"): "0x4 9+9x40",
                series(_LAG, le="+Inf"): "0x4 9+9x40",
            },
            10,
            labels("items"),
        ),
    ),
    Alert(
        "RevocationsWait",
        f"max by ({BY}) (auth_revocations_waiting_seconds) > 30",
        2,
        "critical",
        "{{ $labels.service }} has recorded a revocation that the other services do not hear of",
        Proof({series("auth_revocations_waiting_seconds", "auth"): "0x4 31+60x20"}, 7, labels("auth")),
    ),
    Alert(
        "RevocationsUnreadable",
        f"max by ({BY}) (revocations_unreadable) > 0",
        5,
        "critical",
        "{{ $labels.service }} finds entries in `state` that are no revocations",
        Proof({series("revocations_unreadable"): "0x4 1x20"}, 10, labels("items")),
    ),
    Alert(
        "AuditNotSealed",
        f"min by ({BY}) (min_over_time(auth_audit_unsealed_entries[15m])) > 0",
        5,
        "critical",
        "Entries of the audit log of {{ $labels.service }} stay outside the chain",
        Proof({series("auth_audit_unsealed_entries", "auth"): "0x4 3x40"}, 24, labels("auth")),
    ),
    Alert(
        "CleanOverdue",
        f"max by ({BY}) (auth_clean_age_seconds) > 129600 or max by ({BY}) (auth_oldest_expired_seconds) > 172800",
        10,
        "warning",
        "{{ $labels.service }} keeps what should be gone: `clean` has not finished for a day and a half",
        Proof({series("auth_clean_age_seconds", "auth"): "129400+60x40"}, 14, labels("auth")),
    ),
    Alert(
        "BacklogGrows",
        f"{_grown(_PASSING, f'{BY}, table')} or {_grown('items_idempotency_keys', BY)}",
        60,
        "warning",
        "{{ $labels.service }} keeps half as many rows again as a day ago",
        Proof(
            {series("auth_rows", "auth", table="sessions"): "9000x1439 15000x200"},
            1500,
            labels("auth", table="sessions"),
        ),
    ),
    Alert(
        "MailFails",
        f'sum by ({BY}, result) (increase(mails_total{{result!="sent"}}[10m])) > 0',
        5,
        "warning",
        "Mail of {{ $labels.service }} does not leave: {{ $labels.result }}",
        Proof({series("mails_total", "auth", result="dropped"): "0x4 1+1x30"}, 10, labels("auth", result="dropped")),
    ),
    Alert(
        "PasswordHashesRefused",
        f"sum by ({BY}) (rate(password_hashes_refused_total[5m])) > 0",
        5,
        "warning",
        "{{ $labels.service }} answers 503 to sign-ins: too many wait for a thread that hashes",
        Proof({series("password_hashes_refused_total", "auth"): "0x4 9+9x30"}, 10, labels("auth")),
    ),
    Alert(
        "SignInsFail",
        f'{share(f"""rate({_SIGN_INS}{{result!="signed_in"}}[10m])""", f"rate({_SIGN_INS}[10m])")} > 0.8'
        f" and sum by ({BY}) (rate({_SIGN_INS}[10m])) > 0.1",
        10,
        "warning",
        "Four in five sign-ins at {{ $labels.service }} fail: somebody tries passwords, or nobody can come in",
        Proof(
            {
                series(_SIGN_INS, "auth", result="signed_in"): "0+6x10 60x40",
                series(_SIGN_INS, "auth", result="wrong_password"): "0x10 60+60x40",
            },
            23,
            labels("auth"),
        ),
    ),
)
