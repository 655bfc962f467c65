"""What Slipway does: one package a service, and `common` for what two of them would otherwise copy."""
