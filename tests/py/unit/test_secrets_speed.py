"""The floor under the cost of sealing; the full table is ``python -m benchmarks.secrets``."""

from __future__ import annotations

from benchmarks.secrets import FLOOR, OURS, envelopes


def test_sealing_stays_near_bare_aes_gcm() -> None:
    seconds = envelopes(1024, rounds=60, loops=200)
    ratio = seconds["raw AESGCM, key kept"] / seconds[OURS]
    assert ratio >= FLOOR, f"{ratio:.1%} of bare AES-GCM"
