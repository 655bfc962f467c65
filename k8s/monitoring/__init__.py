"""How the platform is watched on a cluster, beside what the chart brings."""
