"""Applications that are measured, or that services are measured beside."""
