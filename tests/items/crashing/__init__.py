"""Items that die at the worst moment of a write."""
