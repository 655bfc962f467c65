"""Where Slipway runs: the local cluster and what is installed on it."""
