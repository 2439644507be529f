"""Nearest neighbours by blocked matrix products on the device of the network."""

import numpy as np
import torch

# Squared distances that are on the device at one time: 32 million of 8 bytes.
BLOCK_ENTRIES = 2**25


def device_neighbors(points, n_neighbors, device, block_entries=BLOCK_ENTRIES):
    """Distances to the nearest neighbours of each sample, and which they are.

    The neighbours of x are those of least |y|^2 - 2 xy, in double precision: single
    precision may mean less on a GPU whose user has allowed TF32.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    n_neighbors : int
        Neighbours of each sample, itself not counted; fewer in smaller data.
    device : torch.device
    block_entries : int
        Distances that are held at one time.

    Returns
    -------
    distances, indices : ndarray of shape (n_samples, n_neighbors)
        Nearest first.
    """
    n_samples = len(points)
    n_neighbors = min(n_neighbors, n_samples - 1)
    on_device = torch.as_tensor(points, dtype=torch.float64, device=device)
    on_device = on_device - on_device.mean(dim=0)
    norms = on_device.square().sum(dim=1)
    found = []
    for block in torch.arange(n_samples, device=device).split(
        max(1, block_entries // n_samples)
    ):
        squared = torch.addmm(norms, on_device[block], on_device.T, alpha=-2.0)
        squared[torch.arange(len(block), device=device), block] = torch.inf
        found.append(squared.topk(n_neighbors, dim=1, largest=False).indices)
    # From the differences, so that equal samples are at the distance 0.
    indices = torch.cat(found).cpu().numpy()
    total = np.zeros(indices.shape)
    # One feature at a time: all at once would be n_neighbors copies of the points.
    for column in points.T.astype(np.float64, copy=False):
        total += np.square(column[indices] - column[:, None])
    order = np.argsort(total, axis=1, kind="stable")
    distances = np.sqrt(np.take_along_axis(total, order, axis=1))
    return distances, np.take_along_axis(indices, order, axis=1)
