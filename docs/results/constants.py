"""Constants that accuracy chose, each changed alone, on sets to choose on and others.

The tables are constants_image.csv and constants_table.csv, which a run that was killed
continues. Then it is printed what would be chosen of each constant by the mean accuracy
on half of the sets, and what it gains there and on the others. A value that gains on
the one half alone was luck. Two hours of one thread::

    python docs/results/constants.py --kind image --data-dir ../shared/data
    python docs/results/constants.py --kind table --data-dir ../shared/data
"""

import argparse
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import mean

from ablation import make_changed, replace_in

from skdepict._training import graphs, joins, noise, settings, start
from skdepict.benchmark.data import (
    EMBEDDINGS,
    MNIST_TRAIN,
    SETS,
    TABLES,
    TIMED_SETS,
    UNEVEN_SETS,
    UnevenSet,
)
from skdepict.benchmark.methods import METHODS
from skdepict.benchmark.study import read_rows
from skdepict.benchmark.suites import Study, study_command

KINDS = ("image", "table")


def drawn(base, largest, ratio=1):
    """Classes of one size, or not, of another set; a draw for each seed."""
    return UnevenSet(base.file, base.load, ratio, largest)


CHOSEN_ON = {
    "image": {
        "digits": SETS["digits"],
        "digits 10:1": UNEVEN_SETS["digits 10:1"],
        "USPS 1000": drawn(SETS["USPS-11000"], 100),
        "Fashion 1000": drawn(SETS["Fashion-test"], 100),
        "COIL-20": SETS["COIL-20"],
    },
    "table": {
        "posts 3000": drawn(EMBEDDINGS["posts"], 150),
        "wine": TABLES["wine"],
        "pendigits 1200 10:1": drawn(SETS["pendigits"], 300, 10),
    },
}
OTHERS = {
    "image": {
        "400 faces": TIMED_SETS["400 faces"],
        "MNIST 1000": drawn(MNIST_TRAIN, 100),
        "MNIST 1200 10:1": drawn(MNIST_TRAIN, 300, 10),
    },
    "table": {
        "photographs 2000": drawn(EMBEDDINGS["photographs"], 200),
        "tf-idf 3000": drawn(SETS["20 Newsgroups"], 150),
        "breast cancer": TABLES["breast cancer"],
        "iris": TABLES["iris"],
    },
}
# What is changed, for which kinds of data, where it is, and its other values.
CONSTANTS = {
    "WHITENINGS": (KINDS, graphs, [(0.3,), (0.0, 0.3), (0.3, 0.6, 1.0)]),
    "FINE_WHITENING": (KINDS, start, [0.0, 0.6]),
    "UNMIXED": (("image",), graphs, [0.9, 0.98]),
    "UNMIXED_ROWS": (("table",), graphs, [0.98, 0.999]),
    "MIN_FIT_STEPS": (KINDS, settings, [400, 1600]),
    "FIT_STEPS_PER_CLUSTER": (("image",), settings, [12, 50]),
    "MIN_JOINT_STEPS": (KINDS, settings, [640, 2560]),
    "N_BATCHES": (KINDS, settings, [4, 16]),
    "LEARNING_RATE_OF_CONV": (("image",), settings, [3e-3, 1.2e-2]),
    "LEARNING_RATE": (("table",), settings, [2e-3, 8e-3]),
    "DROPOUT": (KINDS, settings, [0.05, 0.2]),
    "DEFAULT_EMBEDDING_DIM": (KINDS, settings, [32, 128]),
    "FINER_IMAGES": (("image",), settings, [1, 3]),
    "MIN_FINE": (("table",), settings, [20, 45]),
    "FINE_PER_CLUSTER": (("table",), settings, [2, 5]),
    "REFINED_CONFUSION_WEIGHT": (("image",), joins, [4, 9]),
}
DISTORTIONS = ("MAX_ROTATION", "MAX_SHIFT", "MAX_ZOOM", "MAX_BEND")
OF_ALGORITHM = {"average_decay": [0.98, 0.995], "tol": [1e-3, 4e-3]}


def replace_all(module, values):
    """Give several names of a module, by its own name, other values."""
    for name, value in values.items():
        replace_in(sys.modules[module], name, value)


def changes(kind):
    """What is changed for data of a kind: keywords of `make_changed` by name."""
    changed = {
        f"{name}={str(value).strip('(,)').replace(',', '')}": (owner, {name: value})
        for name, (kinds, owner, values) in CONSTANTS.items()
        for value in values
        if kind in kinds
    }
    for name, values in OF_ALGORITHM.items():
        for value in values:
            stabilised = settings.ALGORITHMS["stabilised"] | {name: value}
            algorithms = settings.ALGORITHMS | {"stabilised": stabilised}
            changed[f"{name}={value}"] = settings, {"ALGORITHMS": algorithms}
    if kind == "image":
        for times in (0.5, 1.5):
            moved = {name: times * getattr(noise, name) for name in DISTORTIONS}
            changed[f"distortion={times}"] = noise, moved
    prepared = {
        name: {"prepare": partial(replace_all, owner.__name__, values)}
        for name, (owner, values) in changed.items()
    }
    return prepared | {f"n_neighbors={n}": {"n_neighbors": n} for n in (8, 30)}


def study_of(kind):
    """The study of a kind of data."""
    known = CHOSEN_ON[kind] | OTHERS[kind]
    methods = {"depict": METHODS["depict"]} | {
        name: partial(make_changed, **changed)
        for name, changed in changes(kind).items()
    }
    return Study(tuple(known), methods, n_seeds=1, known=known)


def report(kind, output):
    """Print what would be chosen of each constant, and its gains on both halves.

    Of the fits that all values of a constant have.
    """
    rows = read_rows(Path(f"{output}.csv"))
    accuracies = {task: float(row["accuracy"]) for task, row in rows.items()}
    methods = defaultdict(lambda: ["depict"])
    for method in changes(kind):
        methods[method.partition("=")[0]].append(method)
    for constant, values in methods.items():
        gains = []
        for half in (CHOSEN_ON[kind], OTHERS[kind]):
            fits = {(name, seed) for name, _, seed in accuracies if name in half}
            of_all = [
                [accuracies.get((name, method, seed)) for method in values]
                for name, seed in sorted(fits)
            ]
            complete = [fit for fit in of_all if None not in fit]
            means = [mean(column) for column in zip(*complete, strict=True)]
            gains.append([value - means[0] for value in means])
        if not all(gains):
            continue
        chosen = max(range(len(values)), key=gains[0].__getitem__)
        print(f"{constant}: {values[chosen]}", *(f"{g[chosen]:+.4f}" for g in gains))
        for value, *gain in zip(values, *gains, strict=True):
            print(f"    {value}", *(f"{change:+.4f}" for change in gain))


def main():
    """Run the study of a kind of data, and print what would be chosen."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kind", choices=KINDS, default="image")
    parser.add_argument("--output")
    own, others = parser.parse_known_args()
    output = own.output or Path(__file__).with_name(f"constants_{own.kind}")
    study_command(study_of(own.kind), output, __doc__, others)
    report(own.kind, output)


if __name__ == "__main__":
    main()
