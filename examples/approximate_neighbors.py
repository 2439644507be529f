"""
Clustering 200,000 samples by approximate neighbours
====================================================

PathIntegralClustering takes a graph of neighbours that was made elsewhere, such as by
pynndescent (``pip install pynndescent``), which finds nearly all nearest neighbours in
a fraction of the time. The first run compiles pynndescent, which takes longer than the
search.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/approximate_neighbors.png"

from time import perf_counter

import numpy as np
from pynndescent import PyNNDescentTransformer
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skdepict import PathIntegralClustering
from skdepict.benchmark.processes import peak_memory_mib

X, y = make_blobs(200_000, n_features=20, centers=50, cluster_std=3.0, random_state=0)
start = perf_counter()
transformer = PyNNDescentTransformer(n_neighbors=20, random_state=0)
graph = transformer.fit_transform(X.astype(np.float32))
print(f"graph of neighbours: {perf_counter() - start:.0f} s")

start = perf_counter()
model = PathIntegralClustering(50, metric="precomputed").fit(graph)
print(f"clusters: {perf_counter() - start:.0f} s")
print(f"adjusted Rand index: {adjusted_rand_score(y, model.labels_):.4f}")
print(f"peak memory of the process: {peak_memory_mib():.0f} MiB")
