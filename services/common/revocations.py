"""What can be revoked: the kinds that auth writes down and that whoever checks tokens knows."""

from typing import Literal, get_args

Kind = Literal["user", "client", "session", "grant", "token"]
KINDS: tuple[Kind, ...] = get_args(Kind)
