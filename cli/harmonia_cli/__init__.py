"""The `harmonia` command: parse, call harmonia_py, print, exit."""
