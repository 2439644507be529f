"""
Clustering in several processes
===============================

The images of an .npy file, with a process for each GPU.

Start one process for each GPU, or a few on one machine without any::

    torchrun --nproc-per-node 2 examples/distributed_fit.py images.npy

Without a file, the digits of scikit-learn are clustered.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/distributed_fit.png"

import sys

from sklearn.datasets import load_digits
from torch import distributed

from skdepict import DEPICTClustering


def main():
    distributed.init_process_group()
    X = sys.argv[1] if len(sys.argv) > 1 else load_digits().images
    model = DEPICTClustering(10, random_state=0, verbose=1).fit(X)
    if distributed.get_rank() == 0:
        print(f"{len(model.labels_):,} samples, {distributed.get_world_size()} shares")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
