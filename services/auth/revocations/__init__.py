"""What must stop working now: written with its cause, told to every process."""
