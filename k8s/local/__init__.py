"""Slipway on a cluster of this machine: the steps of `make up`, `make down`, `make push` and `make dev`.

Standard library only: these commands stand before any virtual environment.
"""
