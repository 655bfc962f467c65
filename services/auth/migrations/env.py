"""Where alembic begins: the tables of auth."""

from sqlmodel import SQLModel

from services.auth.audit import models as audit
from services.auth.clients import models as clients
from services.auth.keys import models as keys
from services.auth.oauth import models as oauth
from services.auth.revocations import models as revocations
from services.auth.sessions import models as sessions
from services.auth.users import models as users
from services.common.migrations import run_env

# importing the models is what fills the metadata
MODELS = (audit, clients, keys, oauth, revocations, sessions, users)
run_env(SQLModel.metadata)
