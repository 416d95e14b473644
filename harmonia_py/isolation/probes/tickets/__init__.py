"""Access for a while: staff on a grant, keys of machines, guests and shares."""
