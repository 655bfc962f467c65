"""Servers, tokens and clients that the tests of every service share."""
