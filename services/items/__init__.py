"""The catalogue: items that people own, on Postgres, read through Redis."""
