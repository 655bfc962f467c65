"""What happened, who did it, from where: each security event once, in a chain."""
