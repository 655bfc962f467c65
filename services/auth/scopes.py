"""The closed list of scopes: what a token can allow, each in words that the consent page shows to people."""

SCOPES = {
    "items:read": "See your items",
    "items:write": "Create, change and delete your items",
    "items:admin": "Reach everybody's items, where it may reach yours",
    "users:read": "See users, roles and applications",
    "users:admin": "Manage users, roles and applications, and read the audit log",
    "users:self": "Change your own account and end your sessions",
    "platform:operate": "See how the platform is doing and operate it",
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your email address",
    "offline_access": "Keep this access while you are away",
}
OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
# about the person who signs in: no role need give them, and a machine has no use for them
PERSONAL_SCOPES = OPENID_SCOPES | {"users:self"}
