"""Auth: an OAuth 2.1 and OpenID Connect provider, its users and its clients."""
