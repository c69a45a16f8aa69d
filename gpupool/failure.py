"""What the command line reports in one line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """The run failed (exit code 1); the message is for the user."""


class UsageError(CommandError):
    """The command was given wrongly (exit code 2)."""


@contextmanager
def missing_extra() -> Iterator[None]:
    """Turn a missing image package into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("PIL", "tifffile", "skimage"):
            raise
        package = {"PIL": "pillow", "skimage": "scikit-image"}.get(error.name.partition(".")[0], error.name)
        raise CommandError(f'this needs {package}, which is not installed: pip install "gpupool[image]"') from error
