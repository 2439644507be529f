"""The training loop that most people would write, to compare ours with."""

import time

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from skdepict._training.noise import Distortion, Dropout
from skdepict._training.objectives import target_distribution
from skdepict.networks._base import no_corruption


def plain_loop(model, X, n_epochs):
    """Samples a second of the joint phase, by the plain loop.

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
