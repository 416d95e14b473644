"""A benchmark of planted tenant leaks, harmless refactorings and over-restrictions.

It measures isolation testers; it is written against schemas and attackers, never against a tester.
"""
