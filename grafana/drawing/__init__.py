"""Panels and dashboards as pictures, laid out as Grafana's dark theme does."""
