"""The public operators: signature, documentation, one call each; a module for each family."""

from .average import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
)
from .general import output_shape, pool
from .maximum import (
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .minimum import (
    global_min_pool1d,
    global_min_pool2d,
    global_min_pool3d,
    min_pool1d,
    min_pool2d,
    min_pool3d,
)
from .norm import (
    global_lp_pool1d,
    global_lp_pool2d,
    global_lp_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from .ranked import (
    median_pool1d,
    median_pool2d,
    median_pool3d,
    mode_pool1d,
    mode_pool2d,
    mode_pool3d,
)
from .summed import (
    global_sum_pool1d,
    global_sum_pool2d,
    global_sum_pool3d,
    sum_pool1d,
    sum_pool2d,
    sum_pool3d,
)

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_lp_pool1d",
    "global_lp_pool2d",
    "global_lp_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "global_min_pool1d",
    "global_min_pool2d",
    "global_min_pool3d",
    "global_sum_pool1d",
    "global_sum_pool2d",
    "global_sum_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "median_pool1d",
    "median_pool2d",
    "median_pool3d",
    "min_pool1d",
    "min_pool2d",
    "min_pool3d",
    "mode_pool1d",
    "mode_pool2d",
    "mode_pool3d",
    "output_shape",
    "pool",
    "sum_pool1d",
    "sum_pool2d",
    "sum_pool3d",
]
