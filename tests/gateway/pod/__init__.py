"""A service in a process of its own that says which pod it is."""
