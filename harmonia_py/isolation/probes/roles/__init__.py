"""What somebody may do inside a tenant, and whether they can give themselves more."""
