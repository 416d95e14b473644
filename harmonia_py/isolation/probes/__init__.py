"""Probes, one channel per module: each takes the laboratory and yields signals."""
