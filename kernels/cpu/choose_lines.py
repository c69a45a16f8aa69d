"""Passes that add each window's gradient where the element lies that it chooses."""

from __future__ import annotations

import numpy as np

from ..point import decode
from .jit import pointer

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)


def found_giver(g_type, acc_type, g_codec):
    """The pass that adds gradients at the distances from the windows' starts that were found."""

    def give(g_at, taken_at, spans_at, n, inner, total_at, lo, hi):
        g, taken, total = pointer(g_at, g_type), pointer(taken_at, INT32), pointer(total_at, acc_type)
        spans = pointer(spans_at, INT64)
        if inner == 1 and lo >= hi:
            for i in range(n):
                at = spans[3 * i] + taken[i]
                total[at] = total[at] + decode(g_codec, g[i])
            return 0
        for o in range(n):
            start = spans[3 * o]
            for c in range(inner):
                at = (start + taken[o * inner + c]) * inner + c
                if lo >= hi or lo <= at < hi:
                    total[at] = total[at] + decode(g_codec, g[o * inner + c])
        return 0

    return give


def taken_giver(g_type, acc_type, g_codec):
    """The pass that adds gradients at taps' distances from a table."""

    def give(g_at, taken_at, offsets_at, n, inner, step, total_at, lo, hi):
        g, taken, total = pointer(g_at, g_type), pointer(taken_at, INT32), pointer(total_at, acc_type)
        offsets = pointer(offsets_at, INT32)
        if inner == 1 and lo >= hi:
            for i in range(n):
                at = i * step + offsets[taken[i]]
                total[at] = total[at] + decode(g_codec, g[i])
            return 0
        for o in range(n):
            for c in range(inner):
                at = o * step + c + offsets[taken[o * inner + c]]
                if lo >= hi or lo <= at < hi:
                    total[at] = total[at] + decode(g_codec, g[o * inner + c])
        return 0

    return give
