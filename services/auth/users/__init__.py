"""People: their passwords, second factors, roles."""
