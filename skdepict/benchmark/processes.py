"""Fresh processes, what they cost, and what ran in them."""

import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from skdepict import __version__


def in_fresh_process(function, *arguments):
    """Call a function in a process of its own and return what it returns.

    An interrupt ends that process, too.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = pool.submit(function, *arguments)
        try:
            return result.result()
        except KeyboardInterrupt:
            # The pool would wait for the call to end. It has a method for this from
            # Python 3.14 on.
            for process in list(pool._processes.values()):
                process.terminate()
            raise


def peak_memory_mib():
    """The largest resident memory of this process so far."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**2 if sys.platform == "darwin" else 1024)
    # Not getrusage, which on Linux counts what the parent held at the fork.
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def describe_run(data, details):
    """One line that says what ran where."""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "scikit-learn", "numpy")
    )
    return (
        f"{Path(data).name}, {details}; {os.cpu_count()} cores, {platform.machine()}; "
        f"Python {platform.python_version()}, skdepict {__version__}, {versions}"
    )
