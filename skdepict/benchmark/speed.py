"""What a fit costs, beside what the machine could do and what others take.

All in one run, each measurement in a process of its own: the machine's ceilings, the
phases of a fit, the loop that most people would write, other clusterers, and how the
cost grows.
"""

import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from skdepict.benchmark.data import flatten
from skdepict.benchmark.methods import METHODS
from skdepict.benchmark.processes import in_fresh_process, peak_memory_mib
from skdepict.benchmark.sets import load_set

COLUMNS = ("measurement", "subject", "value", "unit")
PHASE_SET, GROWTH_SET = "MNIST-test", "MNIST-full"
OTHERS = ("kmeans", "spectral", "ward", "clustpy-dec", "clustpy-idec")
SIDES = (8, 16, 28, 32, 64)
TARGET_ACCURACY = 0.96
MATRIX_SIDE = 2048
COPIED_BYTES = 2**28
REPEATS = 7
# Enough for a stable mean; the reference has no phases to go through.
TIMED_EPOCHS, TIMED_SAMPLES = 3, 10_000
TURNS = 4


class Quiet:
    """A callback that does nothing."""

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""


class Clock(Quiet):
    """A callback that notes when phases and epochs begin and end."""

    def __init__(self):
        self.events = []

    def on_fit_task_begin(self, estimator, context):
        """Note that a task begins."""
        self.events.append((context.task_name, "begin", time.perf_counter()))

    def on_fit_task_end(self, estimator, context):
        """Note that a task ends."""
        self.events.append((context.task_name, "end", time.perf_counter()))

    def seconds(self, phase):
        """How long all the runs of a phase took together."""
        times = {"begin": 0.0, "end": 0.0}
        for name, what, moment in self.events:
            if name == phase:
                times[what] += moment
        return times["end"] - times["begin"]

    def epochs(self, phase):
        """Seconds of each epoch of a phase, with what follows it before the next."""
        ends: list[float] = []
        inside = False
        for name, what, moment in self.events:
            if name == phase:
                inside = what == "begin"
                ends = [moment] if inside else ends
            elif inside and name == "epoch" and what == "end":
                ends.append(moment)
        return np.diff(ends)


class AccuracyClock(Quiet):
    """A callback that notes the accuracy after each epoch, with its own time apart."""

    def __init__(self, X, y):
        self.X, self.y = X, y
        self.start, self.own, self.reached = time.perf_counter(), 0.0, []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        """Note accuracy and time, and stop once the accuracy is there."""
        from skdepict.metrics import clustering_accuracy

        now = time.perf_counter()
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        accuracy = clustering_accuracy(self.y, fitted_estimator.predict(self.X))
        self.reached.append((accuracy, now - self.start - self.own))
        self.own += time.perf_counter() - now
        return accuracy >= TARGET_ACCURACY


def measure_speed(data_dir, sizes):
    """Yield one row after another.

    Parameters
    ----------
    data_dir : str
        The folder of the data sets.
    sizes : list of int
        Numbers of samples to see the growth on.

    Yields
    ------
    row : dict
        With `COLUMNS`.
    """
    measurements = [ceilings, partial(phases, data_dir), partial(reference, data_dir)]
    measurements.append(partial(from_a_file, data_dir))
    measurements.append(partial(time_to_accuracy, data_dir))
    for method in OTHERS:
        package = method.partition("-")[0]
        if package != "clustpy" or find_spec("clustpy") is not None:
            measurements.append(partial(other, data_dir, method))
    measurements += [partial(growth_with_n, data_dir, n) for n in sizes]
    measurements += [partial(growth_with_side, data_dir, side) for side in SIDES]
    for measure in measurements:
        for values in in_fresh_process(measure):
            yield dict(zip(COLUMNS, values, strict=True))


def ceilings():
    """Matrix products and copies, the best of several."""
    import torch

    rows = []
    for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        a = torch.rand(MATRIX_SIDE, MATRIX_SIDE).to(dtype)
        seconds = _best(partial(torch.mm, a, a))
        operations = 2 * MATRIX_SIDE**3
        rows.append(("ceiling", f"{name} matrix product", operations / seconds, "op/s"))
    source = torch.rand(COPIED_BYTES // 4)
    seconds = _best(source.clone)
    rows.append(("ceiling", "memory copy", 2 * COPIED_BYTES / seconds, "byte/s"))
    return rows


def _best(function):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def phases(data_dir):
    """Seconds, samples and operations of each phase of a fit, and of predict."""
    from skdepict import DEPICTClustering

    X, y = load_set(PHASE_SET, data_dir)
    clock = Clock()
    model = DEPICTClustering(len(np.unique(y)), random_state=0)
    start = time.perf_counter()
    model.set_callbacks(clock).fit(X)
    rows = [
        ("fit", "seconds", time.perf_counter() - start, "s"),
        ("fit", "peak memory", peak_memory_mib(), "MiB"),
    ]
    forward, step = operations_per_sample(model.network_, X)
    n_epochs = {"initialise": 0, "joint": 0}
    for record in model.history_:
        n_epochs[record["phase"]] += 1
    for phase, n in n_epochs.items():
        seconds = clock.seconds(phase)
        operations = step + (forward if phase == "joint" else 0)
        rows += [
            ("fit", f"{phase}: seconds", seconds, "s"),
            ("fit", f"{phase}: speed", n * len(X) / seconds, "samples/s"),
            ("fit", f"{phase}: work", n * len(X) * operations / seconds, "op/s"),
        ]
    labelling = rows[0][2] - sum(map(clock.seconds, n_epochs))
    rows.append(("fit", "starting labels and the rest", labelling, "s"))
    seconds = _best(partial(model.predict, X))
    rows += [
        ("predict", "speed", len(X) / seconds, "samples/s"),
        ("predict", "work", len(X) * forward / seconds, "op/s"),
        ("predict", "forward pass alone", _forward_speed(model.network_, X), "op/s"),
    ]
    return rows


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


def _forward_speed(model, X):
    """Operations a second of the bare network on batches that are ready."""
    import torch

    x = torch.rand(1024, 1, *X.shape[1:])
    with torch.inference_mode():
        seconds = _best(partial(model.embed, x))
    return len(x) * operations_per_sample(model, X)[0] / seconds


def joint_phase(X, y):
    """Samples a second of the joint phase, starting from the classes.

    Returns
    -------
    model : DEPICTClustering
        Fitted.
    speed : float
    """
    from skdepict import DEPICTClustering

    classes, labels = np.unique(y, return_inverse=True)
    clock = Clock()
    model = DEPICTClustering(
        len(classes),
        init=labels,
        random_state=0,
        fit_epochs=1,
        max_iter=TIMED_EPOCHS,
        early_stopping=False,
        tol=0.0,
    )
    model.set_callbacks(clock).fit(X)
    return model, len(X) / clock.epochs("joint")[1:].mean()


def in_turns(measurement, loops):
    """Medians of what functions of no argument measure, and of their ratio.

    They are called in turns, either first as often as the other, since a machine's
    speed changes.

    Parameters
    ----------
    measurement : str
    loops : dict
        Two functions that return samples a second, by their names.

    Returns
    -------
    rows : list of tuple
        The ratio is that of the last to the first.
    """
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(TURNS):
        for name in list(loops)[:: 1 if turn % 2 == 0 else -1]:
            speeds[name].append(loops[name]())
    first, last = speeds.values()
    return [
        *((measurement, name, np.median(speeds[name]), "samples/s") for name in loops),
        (measurement, "ratio", np.median(np.divide(last, first)), ""),
    ]


def reference(data_dir):
    """Samples a second of the joint phase, beside those of a plain loop.

    Ours leaves out what the defaults leave out, the reconstruction loss.
    """
    from skdepict.benchmark.plain_loop import plain_loop

    X, y = (array[:TIMED_SAMPLES] for array in load_set(PHASE_SET, data_dir))
    model, _ = joint_phase(X, y)
    return in_turns(
        "joint phase",
        {
            "plain loop": partial(plain_loop, model, X, TIMED_EPOCHS),
            "skdepict": lambda: joint_phase(X, y)[1],
        },
    )


def from_a_file(data_dir):
    """Samples a second of the joint phase from memory and from a memory map."""
    X, y = (array[:TIMED_SAMPLES] for array in load_set(PHASE_SET, data_dir))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        np.save(path, X)
        mapped = np.load(path, mmap_mode="r")
        return in_turns(
            "samples from",
            {
                "memory": lambda: joint_phase(X, y)[1],
                "a memory map": lambda: joint_phase(mapped, y)[1],
            },
        )


def time_to_accuracy(data_dir):
    """Seconds of the fit until the labels it would give are good enough."""
    from skdepict import DEPICTClustering

    X, y = load_set(PHASE_SET, data_dir)
    clock = AccuracyClock(X, y)
    model = DEPICTClustering(len(np.unique(y)), random_state=0, max_rounds=1)
    model.set_callbacks(clock).fit(X)
    met = [point for point in clock.reached if point[0] >= TARGET_ACCURACY]
    # Never met: the best, and no time.
    accuracy, seconds = met[0] if met else (max(clock.reached)[0], np.nan)
    return [
        (f"time to ACC {TARGET_ACCURACY}", "accuracy", accuracy, ""),
        (f"time to ACC {TARGET_ACCURACY}", "seconds", seconds, "s"),
    ]


def other(data_dir, method):
    """Seconds and accuracy of another clusterer."""
    from skdepict.metrics import clustering_accuracy

    X, y = load_set(PHASE_SET, data_dir)
    rows = flatten(X)
    try:
        model = METHODS[method](rows.shape, len(np.unique(y)), 0)
        start = time.perf_counter()
        labels = model.fit_predict(rows)
        seconds = time.perf_counter() - start
    except Exception as error:
        # Another package's fault is no reason to lose all other figures.
        words = " ".join(str(error).split())
        problem = f"{method}: {type(error).__name__}: {words}"
        return [("other clusterers", problem, np.nan, "")]
    return [
        ("other clusterers", f"{method}: seconds", seconds, "s"),
        ("other clusterers", f"{method}: accuracy", clustering_accuracy(y, labels), ""),
        ("other clusterers", f"{method}: peak memory", peak_memory_mib(), "MiB"),
    ]


def growth_with_n(data_dir, n_samples):
    """Seconds and memory of a whole fit of the first samples."""
    from skdepict import DEPICTClustering

    X, _ = load_set(GROWTH_SET, data_dir)
    X = X[:n_samples].copy()
    start = time.perf_counter()
    DEPICTClustering(10, random_state=0).fit(X)
    seconds = time.perf_counter() - start
    return [
        ("growth with n", str(len(X)), seconds, "s"),
        ("growth with n: memory", str(len(X)), peak_memory_mib(), "MiB"),
    ]


def growth_with_side(data_dir, side):
    """Samples a second of the joint phase on images of another size."""
    import torch
    from torch.nn import functional

    X, y = load_set(PHASE_SET, data_dir)
    x = torch.from_numpy(X[:TIMED_SAMPLES]).float()[:, None]
    images = functional.interpolate(x, (side, side), mode="bilinear")[:, 0].numpy()
    model, speed = joint_phase(images, y[:TIMED_SAMPLES])
    forward, step = operations_per_sample(model.network_, images)
    return [
        ("growth with the side", str(side), speed, "samples/s"),
        ("growth with the side: work", str(side), speed * (forward + step), "op/s"),
    ]


def summarise_speed(rows):
    """A Markdown table."""
    lines = ["| measurement | subject | value |", "|---|---|---|"]
    for row in rows:
        value = float(row["value"])
        shown = f"{value / 1e9:.1f} G{row['unit']}" if value >= 1e8 else f"{value:.4g}"
        if value < 1e8 and row["unit"]:
            shown += f" {row['unit']}"
        subject = str(row["subject"]).replace("|", "\\|")
        lines.append(f"| {row['measurement']} | {subject} | {shown} |")
    return "\n".join(lines)


def draw_speed(rows, path):
    """Draw the growth with the number and with the size of images."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for ax, measurement, label, title in (
        (panels[0], "growth with n", "samples", "whole fit of MNIST, seconds"),
        (
            panels[1],
            "growth with the side",
            "side of the images in pixels",
            "joint phase, samples per second",
        ),
    ):
        points = [row for row in rows if row["measurement"] == measurement]
        x = [int(row["subject"]) for row in points]
        ax.loglog(x, [float(row["value"]) for row in points], "o-", color="tab:red")
        ax.set_xticks(x, [f"{value:,}" for value in x])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.set_xlabel(label)
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
