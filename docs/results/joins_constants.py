"""Constants of joins, chosen on half of the sets of images and seen on the others.

Fits of sets of the study "uneven", at 10 and 50 to 1, are run to their first join; what
it sees is kept in a folder, from which a run that was killed continues. Then fine
groups are joined to as many clusters as there are classes, with one constant changed at
a time, and not trained further. An hour on two cores; minutes from the folder::

    python docs/results/joins_constants.py --data-dir ../shared/data --folder joins
"""

import argparse
from pathlib import Path

import numpy as np

from skdepict import DEPICTClustering
from skdepict._training import information, joins, judge
from skdepict.benchmark.data import UNEVEN_SETS
from skdepict.metrics import clustering_accuracy

CHOSEN_ON = ("digits", "USPS", "COIL-20", "Fashion-test")
SEEN_ON = ("MNIST-test", "MNIST-2000", "MNIST-3000")
RATIOS = ("10:1", "50:1")
N_DRAWS = 3
# What is changed, where it is, and its values.
CONSTANTS = [
    ("CONFUSION_WEIGHT", information, (1, 2, 3, 4, 6, 8, 12)),
    ("REFINED_CONFUSION_WEIGHT", joins, (3, 4, 5, 6, 8)),
    ("DISTINCTNESS_WEIGHT", joins, (0, 0.5, 1, 2, 3, 4, 8)),
    ("N_PAIRS", joins, (1, 3, 10)),
]


class Seen(Exception):
    """Ends a fit at its first join."""


def what_a_join_sees(X, n_clusters):
    """Frequencies and groups of the first join of a fit; None if it joins nothing."""

    def stop(frequencies, groups, n_clusters, proposals, nearby, *_, **__):
        raise Seen(frequencies, nearby, groups)

    original, judge.join = judge.join, stop
    try:
        DEPICTClustering(n_clusters, random_state=0).fit(X)
    except Seen as seen:
        # Of clusters that were found at once the order of joins is asked for, too.
        return seen.args if len(seen.args[0]) > n_clusters else None
    finally:
        judge.join = original
    return None


def collect(name, draw, data_dir, folder):
    """What a join sees of a draw of a set, and its classes; None without a join."""
    path = Path(folder, f"{name} {draw}.npz".replace(":", "-").replace(" ", "_"))
    if not path.exists():
        X, y = UNEVEN_SETS[name].read(data_dir, draw)
        seen = what_a_join_sees(X, len(np.unique(y)))
        names = ("frequencies", "nearby", "groups")
        arrays = {} if seen is None else dict(zip(names, seen, strict=True)) | {"y": y}
        np.savez(path, **arrays)
    with np.load(path) as file:
        return dict(file) or None


def accuracy(seen):
    """Accuracy of as many clusters as there are classes."""
    n_clusters = len(np.unique(seen["y"]))
    of_join = seen["frequencies"], seen["groups"], n_clusters
    joined, _ = joins.join(*of_join, nearby=seen["nearby"])
    return clustering_accuracy(seen["y"], joined.labels())


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--folder", required=True)
    options = parser.parse_args()
    Path(options.folder).mkdir(exist_ok=True)
    halves = []
    for half in (CHOSEN_ON, SEEN_ON):
        names = [f"{name} {ratio}" for name in half for ratio in RATIOS]
        found = (
            collect(name, draw, options.data_dir, options.folder)
            for name in names
            for draw in range(N_DRAWS)
        )
        halves.append([seen for seen in found if seen is not None])
    print(f"{len(halves[0])} joins to choose on, {len(halves[1])} others")
    for name, module, values in CONSTANTS:
        default = getattr(module, name)
        print(f"\n{name}, {default} by default: ACC")
        for value in values:
            setattr(module, name, value)
            means = [np.mean([accuracy(seen) for seen in half]) for half in halves]
            print(f"{value:>6} " + "   ".join(f"{mean:.3f}" for mean in means))
        setattr(module, name, default)


if __name__ == "__main__":
    main()
