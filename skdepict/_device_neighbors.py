"""Nearest neighbours by blocked matrix products on the device of the network."""

import numpy as np
import torch

# Squared distances that are on the device at one time: 64 million of 4 bytes.
BLOCK_ENTRIES = 2**26


def device_neighbors(points, n_neighbors, device, block_entries=BLOCK_ENTRIES):
    """Distances to the nearest neighbours of each sample, and which they are.

    The neighbours are found in single precision, as |x|^2 + |y|^2 - 2 xy; their
    distances are computed again in double precision, from the differences. Two that
    are equally near to within a millionth of the largest norm may change places with
    those that another search finds.

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
    on_device = torch.as_tensor(points, dtype=torch.float32, device=device)
    on_device = on_device - on_device.mean(dim=0)
    norms = on_device.square().sum(dim=1)
    found = []
    for block in torch.arange(n_samples, device=device).split(
        max(1, block_entries // n_samples)
    ):
        squared = torch.addmm(norms, on_device[block], on_device.T, alpha=-2.0)
        squared[torch.arange(len(block), device=device), block] = torch.inf
        found.append(squared.topk(n_neighbors, dim=1, largest=False).indices)
    indices = torch.cat(found).cpu().numpy()
    total = np.zeros(indices.shape)
    # One feature at a time: all at once would be n_neighbors copies of the points.
    for column in points.T.astype(np.float64, copy=False):
        total += np.square(column[indices] - column[:, None])
    order = np.argsort(total, axis=1, kind="stable")
    distances = np.sqrt(np.take_along_axis(total, order, axis=1))
    return distances, np.take_along_axis(indices, order, axis=1)
