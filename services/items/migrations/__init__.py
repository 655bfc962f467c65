"""The history of items' tables."""
