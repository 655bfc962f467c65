"""The keys that sign tokens: encrypted, published before use, kept as long as what they signed."""
