"""What people do with their accounts, on one screen; each noun has a file of its own."""

from services.auth.users.factor_changes import FactorChanges
from services.auth.users.own_sessions import OwnSessions
from services.auth.users.password_changes import PasswordChanges
from services.auth.users.sign_up import SigningUp


class AccountService(PasswordChanges, SigningUp, FactorChanges, OwnSessions):
    """One caller's account: each method ends with one commit, also where it raises that something was wrong.

    No connection is held while a password is at work. Who is signed in is not decided here: pages start a session with
    `SessionService.start(user.id, methods, origin, as_of=user.updated_at)`.
    """
