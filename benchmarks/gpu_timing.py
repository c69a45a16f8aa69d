"""Kernel time on a GPU: CUDA events around the replay of a graph of calls, buffers rotated beyond the L2 cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.timing import Contender, no_garbage_collection, rotations

# One sample is a replay of about this long: the two events and the launch of the graph then weigh under 1 %.
SAMPLE_SECONDS = 600e-6
MAX_CALLS = 128
# Before a case is timed its contenders run for so long: a GPU that had nothing to do takes its time to clock up.
WARM_SECONDS = 50e-3


def l2_bytes(cupy: Any) -> int:
    """Size of the current device's L2 cache."""
    return int(cupy.cuda.Device().attributes["L2CacheSize"])


def device_name(cupy: Any) -> str:
    """Name of the current device."""
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


class GpuTimer:
    """Times contenders on one stream. `Contender.note` says how: "graph", "loop" (not capturable) or "wall"."""

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy
        self.stream = cupy.cuda.Stream(non_blocking=True)

    def _events(self, run: Callable[[], Any]) -> float:
        """Seconds between two events around `run` on the stream."""
        start, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        start.record(self.stream)
        run()
        end.record(self.stream)
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(start, end) * 1e-3

    def _replay(self, contender: Contender, calls: int, sets: int) -> Callable[[], Any]:
        """A function that runs `calls` calls: as a graph if the contender can be captured."""

        def loop() -> None:
            for i in range(calls):
                contender.call(i % sets)

        loop()
        self.stream.synchronize()
        try:
            replay = capture_torch(loop, self.stream) if contender.name.startswith("torch") else self._capture(loop)
        except Exception as error:  # whatever a library raises when it synchronises inside a capture
            contender.note = f"loop ({type(error).__name__})"
            return loop
        contender.note = "graph"
        return replay

    def _capture(self, loop: Callable[[], Any]) -> Callable[[], Any]:
        self.stream.begin_capture()
        try:
            loop()
        finally:
            graph = self.stream.end_capture()
        return lambda: graph.launch(self.stream)

    def measure(self, contenders: list[Contender], sets: int, rounds: int) -> None:
        """Fill `samples` of each contender with seconds per call, one sample a round."""
        samplers: dict[str, Callable[[], float]] = {}
        with self.stream, no_garbage_collection():
            for contender in contenders:
                samplers[contender.name] = self._sampler(contender, sets)
            start = time.perf_counter()
            while time.perf_counter() - start < WARM_SECONDS:
                for sample in samplers.values():
                    sample()
            for _, order in rotations(contenders, rounds):
                for contender in order:
                    contender.samples.append(samplers[contender.name]())

    def _sampler(self, contender: Contender, sets: int) -> Callable[[], float]:
        """A function that takes one sample; the replays before it warm up caches, clocks and allocators."""
        if contender.note == "wall":
            return lambda: wall_time(contender, sets)
        contender.call(0)
        self.stream.synchronize()
        once = self._events(lambda: contender.call(1 % sets))
        calls = min(MAX_CALLS, max(sets, int(SAMPLE_SECONDS / max(once, 1e-6))))
        replay = self._replay(contender, calls, sets)
        self._events(replay)
        return lambda: self._events(replay) / calls


def wall_time(contender: Contender, sets: int) -> float:
    """Seconds per call of a library with streams of its own, from the first call to the last result."""
    calls = max(sets, 20)
    result = contender.call(0)
    result.block_until_ready()
    start = time.perf_counter()
    results = [contender.call(i % sets) for i in range(calls)]
    for result in results:
        result.block_until_ready()
    return (time.perf_counter() - start) / calls


def capture_torch(loop: Callable[[], Any], stream: Any) -> Callable[[], Any]:
    """Capture with PyTorch's own graphs: its allocator must know."""
    import torch

    external = torch.cuda.ExternalStream(stream.ptr)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=external):
        loop()

    def replay() -> None:
        with torch.cuda.stream(external):
            graph.replay()

    return replay
