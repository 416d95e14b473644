"""Ratios against named peers; each module prints its table and the command that made it."""
