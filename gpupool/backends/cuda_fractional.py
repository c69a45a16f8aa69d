"""The GPU stage of fractional max pooling."""

from __future__ import annotations

from collections.abc import Callable

from gpupool.backends.cuda_gradients import Steps, run_first
from gpupool.backends.cuda_jobs import Stage
from gpupool.fractional import WHERE, sample_column, sample_type
from gpupool.jobs import JobPlan
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cuda.fractional import fractional, fractional_where
from gpupool.plan import choose


def fractional_steps(plan: JobPlan) -> Steps:
    """One kernel: x, samples, the result."""
    columns = [0] * (3 - len(plan.pooled)) + [sample_column(plan, i) for i in range(len(plan.pooled))]
    constants = (
        ("SAMPLE", sample_type(plan).type), ("SAMPLE_CODEC", input_codec(plan.dtypes[1])),
        ("COLUMN_D", columns[0]), ("COLUMN_H", columns[1]), ("COLUMN_W", columns[2]),
    )  # fmt: skip
    engine = fractional_where if plan.job.kind == WHERE else fractional
    red = choose(plan.forward, wide=False)[0]
    stage = Stage(engine, (0, 1, 2), 1, "y", constants, (plan.dtypes[0], plan.out_dtype), red=red)
    return Steps([stage], [], run_first)


ENGINES: dict[str, Callable[[JobPlan], Steps]] = {"fractional": fractional_steps, WHERE: fractional_steps}
