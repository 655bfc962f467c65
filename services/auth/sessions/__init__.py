"""Who is signed in, from where, since when."""
