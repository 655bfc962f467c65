"""E-mail addresses as people are known by them, and names as they are shown."""

import re
import unicodedata

from services.auth.users.exceptions import InvalidEmailError, InvalidNameError
from services.auth.users.models import EMAIL_MAX, NAME_MAX

# what browsers take in <input type=email> (HTML 4.10.5.1.5), once it is in lower case
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")
_LEAST = 3
_UNSEEN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})  # controls, halves of characters, ends of lines


def known_by(email: str) -> str | None:
    """The address as the database has it, or None for what nobody can have there."""
    known = email[: EMAIL_MAX + 1].strip().lower()
    return known if _LEAST <= len(known) <= EMAIL_MAX and _EMAIL.fullmatch(known) else None


def check_email(email: str) -> str:
    """Likewise for a new account. Raises InvalidEmailError."""
    known = known_by(email)
    if known is None:
        raise InvalidEmailError
    return known


def check_name(name: str) -> str:
    """The name without spaces around it. Raises InvalidNameError."""
    shown = name.strip()
    if not 1 <= len(shown) <= NAME_MAX or any(unicodedata.category(character) in _UNSEEN for character in shown):
        raise InvalidNameError(NAME_MAX)
    return shown


def words(email: str) -> tuple[str, str]:
    """What somebody who knows the address would guess: all of it, and what stands before the @."""
    return email, email.partition("@")[0]
