"""What two services would otherwise copy, and nothing else."""
