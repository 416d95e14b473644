"""Probes, one channel per module: each takes the laboratory and yields signals.

``tables``, ``functions`` and ``storage`` are what is attacked, ``identity``, ``roles`` and
``tickets`` by what right; ``counterexamples`` tries what a failed proof suggests.
"""
