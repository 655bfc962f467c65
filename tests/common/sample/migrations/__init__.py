"""The sample's history."""
