"""Auth with a pause where two could meet, and if asked without the locks that keep them apart."""
