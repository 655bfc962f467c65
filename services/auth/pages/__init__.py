"""What people see of auth in a browser: plain forms, no script."""
