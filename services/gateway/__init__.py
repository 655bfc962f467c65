"""The only way in: checks tokens, balances over the pods of each service, and streams both ways."""
