"""Rows of a tile one after another without a loop."""

from __future__ import annotations


def written_out(step, rows, state):
    """step(r, *state) for rows 0 .. rows - 1, the first 8 at most.

    The compiler would keep a loop, in which each row's loads wait for the row before, and arrays that it cannot keep in
    registers.
    """
    step(0, *state)
    if rows > 1:
        step(1, *state)
    if rows > 2:
        step(2, *state)
    if rows > 3:
        step(3, *state)
    if rows > 4:
        step(4, *state)
    if rows > 5:
        step(5, *state)
    if rows > 6:
        step(6, *state)
    if rows > 7:
        step(7, *state)
