"""The numbers: every figure that the documents state is measured here, by `make bench`."""
