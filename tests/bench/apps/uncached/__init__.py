"""Items with nothing cached."""
