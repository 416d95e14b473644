"""Functions that clients may call: what each can be given, and what comes of it."""
