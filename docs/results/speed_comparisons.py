"""What speed.csv is compared with: other loops, sources, clusterers and images.

All in one run, each comparison in a process of its own: the steps of small data, and
what they have to do; the joint phase beside the loop that most people would write, from
a memory map, and on images of other sizes; the time until an accuracy; and other
clusterers. The table is speed_comparisons.csv. The figure, speed.png, also shows what
speed.csv has::

    python docs/results/speed_comparisons.py --data-dir ../shared/data
"""

import argparse
import csv
import dataclasses
import math
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, TensorDataset

from skdepict import DEPICTClustering
from skdepict._training.noise import Distortion, Dropout
from skdepict._training.objectives import target_distribution
from skdepict.benchmark.data import SETS, TIMED_SETS
from skdepict.benchmark.methods import METHODS, available
from skdepict.benchmark.speed import (
    COLUMNS,
    PHASE_SET,
    Clock,
    measured,
    operations_per_sample,
)
from skdepict.benchmark.study import fit_once, in_words
from skdepict.metrics import clustering_accuracy
from skdepict.networks._base import no_corruption

FOLDER = Path(__file__).parent
OTHERS = ("kmeans", "spectral", "ward", "clustpy-dec", "clustpy-idec")
SIDES = (8, 16, 28, 32, 64)
SETS_OF_STEPS = ("digits", "400 faces", "MNIST-1000", "COIL-20", "MNIST-test")
TARGET_ACCURACY = 0.96
# Enough for a stable mean.
TIMED_EPOCHS, TIMED_SAMPLES = 3, 10_000
TURNS = 4


class Timed(DEPICTClustering):
    """Trains for all of its epochs."""

    def _settings(self, *arguments, **keywords):
        settings = super()._settings(*arguments, **keywords)
        return dataclasses.replace(settings, early_stopping=False, tol=0.0)


class Kept(DEPICTClustering):
    """Keeps the settings that it trains with."""

    def _settings(self, *arguments, **keywords):
        self.kept = super()._settings(*arguments, **keywords)
        return self.kept


def steps(name, data_dir):
    """How many steps a fit takes, how long they take, and what they have to do."""
    X, y = TIMED_SETS[name].read(data_dir)
    classes, labels = np.unique(y, return_inverse=True)
    clock = Clock()
    model = Kept(len(classes), random_state=0).set_callbacks(clock).fit(X)
    n_batches = math.ceil(len(X) / model.kept.batch_size)
    n_steps = n_batches * len(model.history_)
    # Passes for Q are parts of the joint phase.
    seconds = clock.seconds("initialise") + clock.seconds("joint")
    forward, step = operations_per_sample(model.network_, X)
    n_passes = sum(record["phase"] == "joint" for record in model.history_)
    work = len(X) * (step * len(model.history_) + forward * n_passes) / n_steps
    short = {"init": labels, "max_iter": 1, "random_state": 0}
    n_calls = [
        calls(DEPICTClustering(len(classes), fit_epochs=n_epochs, **short), X)
        for n_epochs in (1, 2)
    ]
    return [
        ("steps", f"{name}: number", n_steps, ""),
        ("steps", f"{name}: time", seconds / n_steps, "s"),
        ("steps", f"{name}: operations", work, "op"),
        ("steps", f"{name}: speed", work * n_steps / seconds, "op/s"),
        ("steps", f"{name}: calls", (n_calls[1] - n_calls[0]) / n_batches, ""),
    ]


def calls(model, X):
    """How many operations of torch a fit calls."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled, catch_warnings():
        simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    return sum(
        event.name.startswith("aten::")
        and not str(getattr(event.cpu_parent, "name", "")).startswith("aten::")
        for event in profiled.events()
    )


def joint_phase(X, y):
    """Samples a second of the joint phase, starting from the classes.

    Returns
    -------
    model : DEPICTClustering
        Fitted.
    speed : float
        Without the first epoch.
    """
    classes, labels = np.unique(y, return_inverse=True)
    clock = Clock()
    model = Timed(
        len(classes),
        init=labels,
        random_state=0,
        fit_epochs=1,
        max_iter=TIMED_EPOCHS,
        working_size=None,
    )
    model.set_callbacks(clock).fit(X)
    ends = clock.moments["epoch", "end"][-model.n_iter_ :]
    return model, len(X) / np.diff(ends).mean()


def plain_loop(model, X, n_epochs):
    """Samples a second of the joint phase, by the loop that most people would write.

    It trains the same network with the same noise on the paper's whole objective: a
    DataLoader, and in each step a clean pass, a noisy pass and the decoder, all with
    gradients, in single precision.

    Parameters
    ----------
    model : DEPICTClustering
        Fitted; its network is trained further.
    X : ndarray of shape (n_samples, height, width)
        Bytes.
    n_epochs : int
        At least two.

    Returns
    -------
    speed : float
        Without the first epoch.
    """
    network, assignment = model.network_.autoencoder, model.network_.assignment
    optimizer = torch.optim.Adam(model.network_.parameters())
    images = torch.from_numpy(X).float()[:, None] / 127.5 - 1
    prior = torch.full((model.n_clusters_,), 1 / model.n_clusters_)
    generator = torch.Generator().manual_seed(0)
    dropout, distort = Dropout(0.1, generator), Distortion(generator, True, True)
    numbers = torch.arange(len(images))
    times = []
    for _ in range(n_epochs):
        start = time.perf_counter()
        with torch.no_grad():
            logits = [
                assignment(network.encode(x, no_corruption)[-1])
                for x in images.split(256)
            ]
            targets = target_distribution(
                torch.cat(logits).softmax(dim=1), prior, "squared"
            )
        loader = DataLoader(TensorDataset(images, numbers), 256, shuffle=True)
        for x, index in loader:
            noisy = network.encode(distort(x), dropout)
            clean = network.encode(x, no_corruption)
            decoded = network.decode(noisy[-1])
            loss = network.reconstruction_loss(decoded, [x, *clean[:-1]])
            predicted = assignment(noisy[-1]).log_softmax(dim=1)
            loss = loss + functional.kl_div(
                predicted, targets[index], reduction="batchmean"
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        times.append(time.perf_counter() - start)
    return len(X) / np.mean(times[1:])


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
    speeds = {name: [] for name in loops}
    for turn in range(TURNS):
        for name in list(loops)[:: 1 if turn % 2 == 0 else -1]:
            speeds[name].append(loops[name]())
    first, last = speeds.values()
    return [
        *((measurement, name, np.median(speeds[name]), "samples/s") for name in loops),
        (measurement, "ratio", np.median(np.divide(last, first)), ""),
    ]


def beside_a_plain_loop(read):
    """The joint phase beside a plain loop.

    Ours leaves out what the defaults leave out, the reconstruction loss.
    """
    X, y = (array[:TIMED_SAMPLES] for array in read())
    model, _ = joint_phase(X, y)
    return in_turns(
        "joint phase",
        {
            "plain loop": partial(plain_loop, model, X, TIMED_EPOCHS),
            "skdepict": lambda: joint_phase(X, y)[1],
        },
    )


def from_a_file(read):
    """The joint phase from memory and from a memory map."""
    X, y = (array[:TIMED_SAMPLES] for array in read())
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


def growth_with_side(side, read):
    """The joint phase on images of another size."""
    X, y = (array[:TIMED_SAMPLES] for array in read())
    x = torch.from_numpy(X).float()[:, None]
    images = functional.interpolate(x, (side, side), mode="bilinear")[:, 0].numpy()
    model, speed = joint_phase(images, y)
    work = speed * sum(operations_per_sample(model.network_, images))
    return [
        ("growth with the side", str(side), speed, "samples/s"),
        ("growth with the side: work", str(side), work, "op/s"),
    ]


class AccuracyClock(Clock):
    """Notes the accuracy after each epoch, with its own time apart."""

    def __init__(self, X, y):
        super().__init__()
        self.X, self.y = X, y
        self.start, self.own, self.reached = time.perf_counter(), 0.0, []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        """Note accuracy and time, and stop once the accuracy is there."""
        now = time.perf_counter()
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        accuracy = clustering_accuracy(self.y, fitted_estimator.predict(self.X))
        self.reached.append((accuracy, now - self.start - self.own))
        self.own += time.perf_counter() - now
        return accuracy >= TARGET_ACCURACY


def time_to_accuracy(read):
    """Seconds of the fit until the labels it would give are good enough."""
    X, y = read()
    clock = AccuracyClock(X, y)
    model = DEPICTClustering(len(np.unique(y)), random_state=0)
    model.set_callbacks(clock).fit(X)
    met = [point for point in clock.reached if point[0] >= TARGET_ACCURACY]
    # Never met: the best, and no time.
    accuracy, seconds = met[0] if met else (max(clock.reached)[0], np.nan)
    return [
        (f"time to ACC {TARGET_ACCURACY}", "accuracy", accuracy, ""),
        (f"time to ACC {TARGET_ACCURACY}", "seconds", seconds, "s"),
    ]


def other(method, read):
    """Seconds, accuracy and memory of another clusterer."""
    row = fit_once(0, read, METHODS[method])
    if "error" in row:
        # Another package's fault is no reason to lose all other figures.
        return [("other clusterers", f"{method}: {row['error']}", np.nan, "")]
    return [
        ("other clusterers", f"{method}: seconds", row["seconds"], "s"),
        ("other clusterers", f"{method}: accuracy", row["accuracy"], ""),
        ("other clusterers", f"{method}: peak memory", row["peak_memory_mib"], "MiB"),
    ]


def draw(rows, path):
    """Draw the growth with the number and with the size of images."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    for ax, measurement, label, title in zip(
        figure.subplots(1, 2),
        ("growth with n", "growth with the side"),
        ("samples", "side of the images in pixels"),
        ("whole fit of MNIST, seconds", "joint phase, samples per second"),
        strict=True,
    ):
        points = [row for row in rows if row["measurement"] == measurement]
        x = [int(row["subject"]) for row in points]
        ax.loglog(x, [float(row["value"]) for row in points], "o-", color="tab:red")
        ax.set_xticks(x, [f"{value:,}" for value in x])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        ax.yaxis.set_major_formatter("{x:,.0f}")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_locator(NullLocator())
        ax.set_xlabel(label)
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main():
    """Measure, print and write everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--output", type=Path, default=FOLDER / "speed_comparisons.csv")
    arguments = parser.parse_args()
    read = partial(SETS[PHASE_SET].read, arguments.data_dir)
    rows = []
    measurements = [
        *(partial(steps, name, arguments.data_dir) for name in SETS_OF_STEPS),
        *(
            partial(measure, read=read)
            for measure in (
                beside_a_plain_loop,
                from_a_file,
                time_to_accuracy,
                *(partial(other, method) for method in available(OTHERS)),
                *(partial(growth_with_side, side) for side in SIDES),
            )
        ),
    ]
    for row in measured(measurements):
        rows.append(row)
        print(in_words(row), flush=True)
    with arguments.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    with (FOLDER / "speed.csv").open() as file:
        draw([*csv.DictReader(file), *rows], arguments.output.with_name("speed.png"))


if __name__ == "__main__":
    main()
