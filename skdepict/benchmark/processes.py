"""Fresh processes, what they cost, and the machine that they run on."""

import math
import os
import platform
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from skdepict import __version__


def in_fresh_process(function, *arguments):
    """Call a function in a process of its own and return what it returns.

    An interrupt ends that process, too, and so does the end of this one, however it
    comes.
    """
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_end_with_parent) as pool:
        result = pool.submit(function, *arguments)
        try:
            return result.result()
        except KeyboardInterrupt:
            # The pool would wait for the call to end. It has a method for this from
            # Python 3.14 on.
            for process in list(pool._processes.values()):
                process.terminate()
            raise


def _end_with_parent():
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _end_with(process):
    process.join()
    os._exit(1)


def peak_memory_mib():
    """The largest resident memory of this process so far."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        try:
            import resource
        except ImportError:  # on Windows
            return math.nan
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**2 if sys.platform == "darwin" else 1024)
    # Not getrusage, which on Linux counts what the parent held at the fork.
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def describe_machine():
    """Machine, versions and commit, as columns of a row."""
    import torch

    return {
        "skdepict": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "scikit_learn": version("scikit-learn"),
        "numpy": version("numpy"),
        "machine": processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def commit():
    """The commit of the package's source, with "+" where files differ from it."""
    try:
        changes = _git("status", "--porcelain", "--", "..")
        return _git("rev-parse", "--short", "HEAD") + "+" * bool(changes)
    except (OSError, subprocess.CalledProcessError):
        return "not in a repository"


def _git(*arguments):
    git = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(
        git, capture_output=True, text=True, check=True
    ).stdout.strip()


def processor():
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()
