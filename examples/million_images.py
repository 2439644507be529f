"""
Clustering a million images
===========================

They are read from the disk batch by batch.

Each of the 70,000 images of MNIST is bent into others by random affine changes
(rotation, shift, scale) until there are as many as asked for. They are written to a
memory map, clustered, and scored::

    python examples/million_images.py --data mnist_full.npz --folder /tmp

The file takes 784 bytes for each image. Nothing here holds all of them as numbers.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/million_images.png"

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from skdepict import DEPICTClustering
from skdepict.benchmark.processes import peak_memory_mib
from skdepict.metrics import clustering_accuracy

AT_ONCE = 10_000
MAX_ANGLE, MAX_SHIFT, MAX_ZOOM = np.deg2rad(5), 0.05, 0.05


def write_images(path, images, n_images, seed=0):
    """Write changed copies of images to a memory map; return whose copies they are."""
    generator = torch.Generator().manual_seed(seed)
    written = np.lib.format.open_memmap(
        path, "w+", dtype=np.uint8, shape=(n_images, *images.shape[1:])
    )
    origins = torch.randint(len(images), (n_images,), generator=generator)
    for start in range(0, n_images, AT_ONCE):
        chosen = origins[start : start + AT_ONCE].numpy()
        batch = torch.from_numpy(images[chosen]).float()[:, None]
        draws = torch.rand(4, len(batch), generator=generator) * 2 - 1
        angle, zoom = draws[0] * MAX_ANGLE, 1 + draws[1] * MAX_ZOOM
        shift = draws[2:] * 2 * MAX_SHIFT
        rows = (
            torch.stack([zoom * angle.cos(), -zoom * angle.sin(), shift[0]], dim=1),
            torch.stack([zoom * angle.sin(), zoom * angle.cos(), shift[1]], dim=1),
        )
        grid = functional.affine_grid(
            torch.stack(rows, dim=1), list(batch.shape), align_corners=False
        )
        changed = functional.grid_sample(batch, grid, align_corners=False)[:, 0]
        written[start : start + AT_ONCE] = changed.round().numpy().astype(np.uint8)
    written.flush()
    return origins.numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", required=True, help="MNIST as an .npz of X and y")
    parser.add_argument("--folder", required=True, help="where to write the images")
    parser.add_argument("--n-images", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with np.load(arguments.data) as data:
        images, y = data["X"], data["y"]
    path = Path(arguments.folder) / "images.npy"
    start = time.perf_counter()
    y = y[write_images(path, images, arguments.n_images)]
    del images
    print(f"wrote {path} in {time.perf_counter() - start:.0f} s", flush=True)

    start = time.perf_counter()
    model = DEPICTClustering(n_clusters=10, random_state=0, verbose=1).fit(path)
    seconds = time.perf_counter() - start
    peak = peak_memory_mib() / 1024
    accuracy = clustering_accuracy(y, model.labels_)
    print(f"{len(y):,} images: ACC {accuracy:.4f}, {seconds:.0f} s, {peak:.2f} GiB")


if __name__ == "__main__":
    main()
