"""One case on the CPU: data, contenders, checks, timing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import check, timing
from benchmarks.cases import Case
from benchmarks.peers import PEERS, Unsupported, copy_cpu, gpupool_cpu
from benchmarks.report import Row
from benchmarks.timing import Contender


@dataclass(frozen=True)
class Settings:
    """How thorough a run is."""

    threads: int
    rounds: int
    seconds: float  # per case, for the timed part
    peers: tuple[str, ...]


def reason(error: BaseException) -> str:
    """Why a peer is missing, on one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    text = (str(error).strip().splitlines() or [""])[0][:110]
    return text if isinstance(error, Unsupported) else f"{type(error).__name__}: {text}"


def add_checked(
    row: Row, case: Case, planes: np.ndarray, ours: np.ndarray, peer: Contender, theirs: np.ndarray | None
) -> bool:
    """Compare a peer with gpupool and note its accuracy; False, with an error in the row, if they disagree."""
    if theirs is None:
        return True
    try:
        check.check_peer(case, peer.name, ours, theirs)
    except check.WrongResult as error:
        row.errors.append(str(error))
        return False
    ulp = check.error_in_ulp(case, planes, theirs)
    if ulp is not None:
        row.ulp[peer.name] = round(ulp, 3)
    return True


def run_case(case: Case, settings: Settings) -> Row:
    """Measure one case. Whatever goes wrong ends up in the row's `errors` or `missing`."""
    row = Row.of(case)
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    row.buffers = timing.buffer_sets(case.bytes, timing.last_level_cache_bytes())
    shape = case.in_layout(case.shape)
    xs = [timing.random_array(rng, shape, case.dtype) for _ in range(row.buffers)]
    planes = check.channels_first(case, xs[0])[check.checked_planes(case)]
    try:
        contenders = gpupool_cpu(case, xs, settings.threads)
        ours = contenders[0].call(0)
        check.check_gpupool(case, planes, ours)
    except Exception as error:  # one broken case must not cost the others
        row.errors.append(reason(error))
        return row
    ulp = check.error_in_ulp(case, planes, ours)
    if ulp is not None:
        row.ulp["gpupool"] = round(ulp, 3)
    contenders += _peers(row, case, xs, planes, ours, settings)
    contenders.append(copy_cpu(case.bytes, row.buffers, settings.threads))
    timing.measure_cpu(contenders, row.buffers, settings.rounds, settings.seconds)
    row.take(contenders)
    return row


def _peers(
    row: Row, case: Case, xs: Sequence[Any], planes: np.ndarray, ours: np.ndarray, settings: Settings
) -> list[Contender]:
    """The peers that can do this case and agree with gpupool."""
    ready = []
    for name in settings.peers:
        try:
            peer = PEERS[name](case, xs, settings.threads)
            theirs = None if peer.result is None else peer.result(peer.call(0))
        except Exception as error:  # a peer's own exception types: it is reported by name
            row.missing[name] = reason(error)
            continue
        if add_checked(row, case, planes, ours, peer, theirs):
            ready.append(peer)
    return ready
