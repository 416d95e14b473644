"""Break the protection on purpose, and see whether the harness notices."""
