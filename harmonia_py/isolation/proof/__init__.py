"""Proofs: whether any row of another tenant can satisfy a table's policies.

The policies are parsed with pglast, helpers are inlined, sub-queries become tuples of
uninterpreted relations, and z3 looks for a world in which somebody who does not belong to a
tenant passes. Whatever is not understood becomes an unconstrained value, so the search only ever
sees *more* worlds than there are: ``proven`` can be trusted, and a world that is found is a
candidate that the probes must confirm.
"""

from harmonia_py.isolation.proof.background import merge, proving, warm
from harmonia_py.isolation.proof.prover import Proof, prove, prove_table

__all__ = ["Proof", "merge", "prove", "prove_table", "proving", "warm"]
