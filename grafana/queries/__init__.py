"""PromQL by noun, each query with a name; panels say how it looks, and `grafana.alerts` when it wakes somebody."""
