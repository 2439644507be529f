"""Fit digits in each process of a group, as torchrun starts them; see test_processes.

Arguments: what to do, where to write.
"""

import os
import signal
import sys
from contextlib import nullcontext

import numpy as np
import torch
from torch import distributed

from skdepict import DEPICTClustering, _trainer
from skdepict._callbacks import FitEvents
from skdepict.benchmark.data import load

task, folder = sys.argv[1:]
torch.set_num_threads(1)
if "RANK" in os.environ:
    distributed.init_process_group("gloo")
rank = int(os.environ.get("RANK", 0))
X, _ = load(f"{folder}/digits.npz", "all")
parameters = {"random_state": 0, "fit_epochs": 20, "max_iter": 4}
if task == "exact":
    # Without noise, and in single precision, all that may differ is the order of sums.
    parameters |= {"dropout": 0.0, "affine_noise": False, "elastic_noise": False}
    parameters |= {"fit_epochs": 1, "max_iter": 1, "learning_rate": 1e-3}
    _trainer.training_precision = lambda device: nullcontext()
elif task == "part":
    from skdepict import _initialization

    _initialization.MAX_LABELLED = 1000
elif task == "different":
    X = X[rank:]
elif task == "killed" and rank == 1:
    begin_epoch = FitEvents.begin_epoch

    def die(events):
        os.kill(os.getpid(), signal.SIGKILL)

    FitEvents.begin_epoch = die

model = DEPICTClustering(10, **parameters).fit(X)
state = {name: value.numpy() for name, value in model.network_.state_dict().items()}
np.savez(
    f"{folder}/{task}_{os.environ.get('WORLD_SIZE', 1)}_{rank}.npz",
    labels_of_the_fit=model.labels_,
    embedding_of_the_fit=model.embedding_,
    predicted=model.predict(X),
    **state,
)
