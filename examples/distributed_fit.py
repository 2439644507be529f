"""
Clustering in several processes
===============================

The images of an .npy file, with a process for each GPU.

Start one process for each GPU, or a few on one machine without any::

    torchrun --nproc-per-node 2 examples/distributed_fit.py images.npy

Without a file, the digits of scikit-learn are clustered.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import distributed

from skdepict import DEPICTClustering


def main():
    on_gpu = torch.cuda.is_available()
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    rank = distributed.get_rank()
    device = "cpu"
    if on_gpu:
        device = f"cuda:{rank % torch.cuda.device_count()}"
        torch.cuda.set_device(device)
    X = sys.argv[1] if len(sys.argv) > 1 else load_digits().images
    model = DEPICTClustering(10, random_state=0, device=device, verbose=1).fit(X)
    if rank == 0:
        print(f"{len(model.labels_):,} samples, {distributed.get_world_size()} shares")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
