"""The worlds in which a proof fails: built, and attacked."""
