"""Demo and generated data."""
