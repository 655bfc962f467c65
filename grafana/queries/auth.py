"""Auth: sign-ins, tokens, keys, passwords, revocations, the audit log, mail and what is kept too long."""

from grafana.queries.selectors import gauge, quantile, rate

SIGN_INS = f"sum by (result) ({rate('auth_sign_ins_total')})"
TOKENS = f"sum by (grant) ({rate('auth_tokens_issued_total')})"
KEYS = f"max by (state) ({gauge('auth_signing_keys')})"
KEY_LEFT = f"max by (state) ({gauge('auth_signing_key_expiry_timestamp_seconds')}) - time()"

HASHES_RUNNING = f"sum by (pod) ({gauge('password_hashes_running')})"
HASHES_WAITING = f"sum by (pod) ({gauge('password_hashes_waiting')})"
HASHES_REFUSED = f"sum by (service) ({rate('password_hashes_refused_total')})"
HASH_P99 = quantile(0.99, "password_hash_duration_seconds")
HASH_P50 = quantile(0.5, "password_hash_duration_seconds")

LIMITS_DECIDED = f"sum by (by) ({rate('limits_decided_total')})"
LIMITS_REFUSED = f"sum by (limit) ({rate('limits_refused_total')})"

REVOCATIONS_PUBLISHED = f"sum by (service) ({rate('auth_revocations_published_total')})"
REVOCATIONS_FAILED = f"sum by (service) ({rate('auth_revocations_failed_total')})"
REVOCATIONS_WAITING = f"max by (service) ({gauge('auth_revocations_waiting_seconds')})"

AUDIT_UNSEALED = f"max by (service) ({gauge('auth_audit_unsealed_entries')})"
AUDIT_LAST = f"max by (service) ({gauge('auth_audit_last_sequence')})"

MAILS = f"sum by (result) ({rate('mails_total')})"

ROWS = f"max by (table) ({gauge('auth_rows')})"
OLDEST_EXPIRED = f"max by (service) ({gauge('auth_oldest_expired_seconds')})"
CLEAN_AGE = f"max by (service) ({gauge('auth_clean_age_seconds')})"
CLEAN_REMOVED = f"max by (table) ({gauge('auth_clean_removed_rows')})"
