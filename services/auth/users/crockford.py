"""Codes that people copy by hand: Crockford's base32, without letters that look like another."""

import hashlib
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOOKS_LIKE = str.maketrans("OIL", "011")
GROUP = 5
TYPED_MOST = 64  # nobody types more; what is longer is wrong without a further look


def make(characters: int) -> str:
    """A random code, five bits a character, in groups: `7Q2MX-9KD4T`."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(characters))
    return "-".join(code[start : start + GROUP] for start in range(0, characters, GROUP))


def digest(typed: str) -> bytes:
    """SHA-256 of a code as it was meant: in either case, with O for 0, I or L for 1, spaces and hyphens anywhere."""
    kept = "".join(typed[:TYPED_MOST].split()).replace("-", "")
    meant = kept.upper().translate(LOOKS_LIKE)
    return hashlib.sha256(meant.encode("utf-8", "surrogatepass")).digest()
