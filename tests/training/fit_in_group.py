"""Fit digits in each process of a group, as torchrun starts them; see test_processes.

Arguments: what to do, where to write.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import DBSCAN
from torch import distributed

from skdepict._training import step
from skdepict.networks import _device
from tests.conftest import quick


class InEpoch:
    """A callback that does something at the beginning of an epoch, counted from 1."""

    def __init__(self, number, action):
        self.n_left, self.action = number, action

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.n_left -= context.task_name == "epoch"
        if self.n_left == 0:
            self.action()

    def on_fit_task_end(self, estimator, context):
        return False


def die():
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def interrupt():
    raise KeyboardInterrupt


def main():
    task, folder = sys.argv[1:]
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        distributed.init_process_group()  # With what serves this machine.
    rank = int(os.environ.get("RANK", 0))
    X = np.load(f"{folder}/digits.npz")["X"]
    callbacks: list = []
    parameters = {"random_state": 0, "fit_epochs": 20, "max_iter": 4}
    if task == "exact":
        # Without noise, in single precision, only the order of sums may differ.
        parameters |= {"dropout": 0.0, "distortion": False}
        parameters |= {"fit_epochs": 1, "max_iter": 1, "learning_rate": 1e-3}
        _device._computes_bfloat16 = lambda kind: False
        # Each process centres the gradients of its own share.
        step._without_mean_gradient = lambda embedding: embedding
    elif task == "part":
        # It takes little to have another round or not.
        parameters["max_rounds"] = 1
        parameters["members"] = np.arange(0, len(X), 2)
    elif task == "pretrain":
        parameters |= {"dropout": 0.0, "distortion": False}
        parameters |= {"pretrain_epochs": 2, "fit_epochs": 1, "max_iter": 0}
        _device._computes_bfloat16 = lambda kind: False
        step._without_mean_gradient = lambda embedding: embedding
    elif task == "given":
        parameters |= {"init": np.arange(len(X)) % 10, "fit_epochs": 1, "max_iter": 1}
    elif task == "batchnorm":
        parameters |= {"network": "sigmoid_conv", "init": "kmeans"}
        parameters |= {"fit_epochs": 1, "max_iter": 1}
        X = X[:200]
    elif task == "different":
        X = X[rank:]
    elif task == "shards":
        X = X[200 * rank : 200 * rank + 200]
    elif task == "failing":
        # Finds more clusters than it was asked for.
        parameters["init"] = DBSCAN(eps=1e-9, min_samples=1)
    elif task == "interrupted" and rank == 0:
        callbacks.append(InEpoch(3, interrupt))
    elif task == "resumed":
        parameters |= {"dropout": 0.0, "distortion": False}
        parameters |= {"fit_epochs": 3, "max_iter": 3, "learning_rate": 1e-3}
        parameters |= {"checkpoint_dir": f"{folder}/checkpoints", "max_rounds": 1}
        _device._computes_bfloat16 = lambda kind: False
        mark = Path(folder, "killed")
        if rank == 1 and not mark.exists():
            callbacks.append(InEpoch(5, lambda: mark.touch() or die()))
    elif task == "killed" and rank == 1:
        callbacks.append(InEpoch(1, die))

    model = quick(10, **parameters).set_callbacks(*callbacks).fit(X)
    state = model.network_.state_dict()
    state = {name: value.numpy(force=True) for name, value in state.items()}
    np.savez(
        f"{folder}/{task}_{os.environ.get('WORLD_SIZE', 1)}_{rank}.npz",
        labels_of_the_fit=model.labels_,
        embedding_of_the_fit=model.embedding_,
        predicted=model.predict(X),
        losses_of_the_fit=[record["loss"] for record in model.history_],
        **state,
    )


if __name__ == "__main__":
    main()
