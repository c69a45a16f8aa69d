"""Accumulators in a block's shared memory."""

from __future__ import annotations

from .memory import unsigned
from .operators import keep_one as keep
from .operators import kept_one as kept


def put(s0, s1, i, acc):
    """Store an accumulator in shared memory."""
    keep(s0, s1, unsigned(i), acc)


def got(s0, s1, i):
    """The accumulator at i."""
    return kept(s0, s1, unsigned(i))
