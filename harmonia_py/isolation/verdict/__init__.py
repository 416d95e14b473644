"""From signals to findings: grouped by what a person would fix, ranked, accepted or not."""
