"""Run many small stories side by side, so that their probes share the round trips.

A story is a generator: it yields a probe, is sent its outcome, and returns what it concluded.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

from harmonia_py.isolation.lab import Lab, Outcome, Probe

__all__ = ["Steps", "together"]

T = TypeVar("T")
Steps = Generator[Probe, Outcome, T]


def together(lab: Lab, stories: Iterable[Steps[T]]) -> list[T]:
    """Run the stories in step, one probe of each a round; return what they concluded, in order."""
    ended: dict[int, T] = {}
    asked: list[tuple[int, Steps[T], Probe]] = []
    for number, story in enumerate(stories):
        try:
            asked.append((number, story, next(story)))
        except StopIteration as done:
            ended[number] = done.value
    while asked:
        outcomes = lab.run([probe for _, _, probe in asked])
        following = []
        for (number, story, _), outcome in zip(asked, outcomes, strict=True):
            try:
                following.append((number, story, story.send(outcome)))
            except StopIteration as done:
                ended[number] = done.value
        asked = following
    return [ended[number] for number in sorted(ended)]
