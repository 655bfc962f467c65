"""The closed list of security events."""

from enum import StrEnum


class Event(StrEnum):
    """What can stand in the audit log."""

    USER_SIGNED_UP = "user_signed_up"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    USER_DELETED = "user_deleted"
    USER_ROLES_CHANGED = "user_roles_changed"
    USER_SIGNED_OUT_EVERYWHERE = "user_signed_out_everywhere"
    SIGN_IN_SUCCEEDED = "sign_in_succeeded"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_LIMITED = "sign_in_limited"
    SECOND_FACTOR_FAILED = "second_factor_failed"
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_RESET_REQUESTED = "password_reset_requested"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    ONE_TIME_PASSWORD_MADE = "one_time_password_made"  # noqa: S105
    SESSION_ENDED = "session_ended"
    ROLE_CHANGED = "role_changed"
    ROLE_REMOVED = "role_removed"
    CLIENT_CREATED = "client_created"
    CLIENT_CHANGED = "client_changed"
    CLIENT_SECRET_CHANGED = "client_secret_changed"  # noqa: S105
    CLIENT_DISABLED = "client_disabled"
    CLIENT_ENABLED = "client_enabled"
    CLIENT_DELETED = "client_deleted"
    CLIENT_REFUSED = "client_refused"
    CONSENT_GIVEN = "consent_given"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CODE_ISSUED = "code_issued"
    CODE_REPLAYED = "code_replayed"
    TOKEN_ISSUED = "token_issued"  # noqa: S105
    TOKEN_REFRESHED = "token_refreshed"  # noqa: S105
    TOKEN_REPLAYED = "token_replayed"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    KEY_PUBLISHED = "key_published"
    KEY_SIGNING = "key_signing"
    KEY_RETIRED = "key_retired"
    KEY_REMOVED = "key_removed"
    KEYS_REWRAPPED = "keys_rewrapped"
    AUDIT_READ = "audit_read"
    AUDIT_PRUNED = "audit_pruned"
