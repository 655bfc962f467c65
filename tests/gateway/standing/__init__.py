"""The gateway in a process of its own, whose DNS is a file that the test writes."""
