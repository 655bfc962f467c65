"""Items with another library's cache."""
