"""Storage: the objects, and the rows that name them."""
