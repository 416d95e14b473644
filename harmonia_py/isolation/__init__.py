"""The isolation harness: a verdict on who can reach whose rows, from a live database."""
