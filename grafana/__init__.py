"""How Slipway is watched: queries, dashboards, alerts, and pictures of them."""
