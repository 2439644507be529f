"""What a fit costs, beside what the machine could do.

All in one run, each measurement in a process of its own: the machine's ceilings, the
phases of a fit, and how the cost grows.
"""

import time
import timeit
from collections import defaultdict
from functools import partial

import numpy as np

from skdepict.benchmark.data import SETS, missing_files
from skdepict.benchmark.processes import in_fresh_process, peak_memory_mib
from skdepict.benchmark.summaries import markdown

COLUMNS = ("measurement", "subject", "value", "unit")
PHASE_SET, GROWTH_SET = "MNIST-test", "MNIST-full"
FP32 = "fp32 matrix product"


class Clock:
    """A callback that notes when each phase and its epochs begin and end."""

    def __init__(self):
        self.moments = defaultdict(list)

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Note that a task begins."""
        self.moments[context.task_name, "begin"].append(time.perf_counter())

    def on_fit_task_end(self, estimator, context):
        """Note that a task ends."""
        self.moments[context.task_name, "end"].append(time.perf_counter())

    def seconds(self, phase):
        """How long all the runs of a phase took together."""
        return sum(self.moments[phase, "end"]) - sum(self.moments[phase, "begin"])


def measure_speed(data_dir, sizes):
    """Measure one thing after another.

    Parameters
    ----------
    data_dir : str
        The folder of the data sets.
    sizes : list of int
        Numbers of samples to see the growth on.

    Returns
    -------
    rows : iterator of dict
        With `COLUMNS`.
    """
    if missing := missing_files(
        {name: SETS[name] for name in (PHASE_SET, GROWTH_SET)}, data_dir
    ):
        raise ValueError(f"--data-dir {data_dir} lacks {list(missing)}")
    read = partial(SETS[PHASE_SET].read, data_dir)
    read_all = partial(SETS[GROWTH_SET].read, data_dir)
    growth = (partial(growth_with_n, read_all, n) for n in sizes)
    return measured([ceilings, partial(phases, read), *growth])


def measured(measurements):
    """Call each measurement in a process of its own, yielding its rows as dicts."""
    for measure in measurements:
        for values in in_fresh_process(measure):
            yield dict(zip(COLUMNS, values, strict=True))


def ceilings(matrix_side=2048, copied_bytes=2**28, repeats=7):
    """Matrix products and copies, the best of several."""
    import torch

    rows = []
    for dtype, name in ((torch.float32, FP32), (torch.bfloat16, "bf16 matrix product")):
        a = torch.rand(matrix_side, matrix_side).to(dtype)
        seconds = _best(partial(torch.mm, a, a), repeats)
        rows.append(("ceiling", name, 2 * matrix_side**3 / seconds, "op/s"))
    source = torch.rand(copied_bytes // 4)
    seconds = _best(source.clone, repeats)
    rows.append(("ceiling", "memory copy", 2 * copied_bytes / seconds, "byte/s"))
    return rows


def _best(function, repeats=7):
    return min(timeit.repeat(function, number=1, repeat=repeats))


def phases(read, **parameters):
    """Seconds, samples and operations of each phase of a fit, and of predict.

    Parameters
    ----------
    read : callable
        Returns images and their classes.
    **parameters
        Of `DEPICTClustering`, in place of its defaults.

    Returns
    -------
    rows : list of tuple
    """
    from skdepict import DEPICTClustering

    X, y = read()
    clock = Clock()
    model = DEPICTClustering(len(np.unique(y)), random_state=0, **parameters)
    start = time.perf_counter()
    model.set_callbacks(clock).fit(X)
    whole = time.perf_counter() - start
    rows = [
        ("fit", "seconds", whole, "s"),
        ("fit", "peak memory", peak_memory_mib(), "MiB"),
    ]
    forward, step = operations_per_sample(model.network_, X)
    # The joint phase has a pass for Q beside its steps.
    for phase, operations in (("initialise", step), ("joint", step + forward)):
        n_epochs = sum(record["phase"] == phase for record in model.history_)
        seconds = clock.seconds(phase)
        speed = n_epochs * len(X) / seconds
        rows += [
            ("fit", f"{phase}: seconds", seconds, "s"),
            ("fit", f"{phase}: speed", speed, "samples/s"),
            ("fit", f"{phase}: work", speed * operations, "op/s"),
        ]
    rest = whole - clock.seconds("initialise") - clock.seconds("joint")
    rows.append(("fit", "starting labels and the rest", rest, "s"))
    speed = len(X) / _best(partial(model.predict, X))
    return [
        *rows,
        ("predict", "speed", speed, "samples/s"),
        ("predict", "work", speed * forward, "op/s"),
        ("predict", "forward pass alone", _forward_work(model.network_, X), "op/s"),
    ]


def operations_per_sample(model, X):
    """Operations of a forward pass and of a training step, by torch's own count."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    x = torch.zeros(64, 1, *X.shape[1:])
    counts = []
    for train in (False, True):
        with FlopCounterMode(display=False) as counter:
            logits = model.assignment(model.embed(x))
            if train:
                logits.sum().backward()
        counts.append(counter.get_total_flops() / len(x))
    model.zero_grad()
    return counts


def _forward_work(model, X):
    """Operations a second of the bare network on batches that are ready."""
    import torch

    x = torch.rand(1024, 1, *X.shape[1:])
    with torch.inference_mode():
        seconds = _best(partial(model.embed, x))
    return len(x) * operations_per_sample(model, X)[0] / seconds


def growth_with_n(read, n_samples, **parameters):
    """Seconds and memory of a whole fit of the first samples; see `phases`."""
    from skdepict import DEPICTClustering

    X, y = read()
    X = X[:n_samples].copy()
    start = time.perf_counter()
    DEPICTClustering(len(np.unique(y)), random_state=0, **parameters).fit(X)
    seconds = time.perf_counter() - start
    return [
        ("growth with n", str(len(X)), seconds, "s"),
        ("growth with n: memory", str(len(X)), peak_memory_mib(), "MiB"),
    ]


def summarise_speed(rows):
    """A Markdown table."""
    fp32 = next(
        (float(row["value"]) for row in rows if row["subject"] == FP32), float("nan")
    )
    lines = []
    for row in rows:
        value, unit = float(row["value"]), row["unit"]
        shown = f"{value / 1e9:.1f} G{unit}" if value >= 1e8 else f"{value:.4g} {unit}"
        share = f"{value / fp32:.0%}" if unit == "op/s" else ""
        lines.append([row["measurement"], row["subject"], shown, share])
    return markdown(["measurement", "subject", "value", f"of the {FP32}"], lines)
