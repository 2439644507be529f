"""
Clustering handwritten digits
=============================

1,797 images of 8x8 pixels, which scikit-learn ships, are put into ten clusters without
their labels: by KMeans, by a Gaussian mixture and by DEPICTClustering. The labels are
used only to judge the results.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy

# %%
# Three clusterers, one table
# ---------------------------

digits = load_digits()
model = DEPICTClustering(n_clusters=10, random_state=0)
methods = {
    "KMeans": (KMeans(n_clusters=10, n_init=10, random_state=0), digits.data),
    "GaussianMixture": (
        make_pipeline(PCA(50, random_state=0), GaussianMixture(10, random_state=0)),
        digits.data,
    ),
    "DEPICTClustering": (model, digits.images),
}
print(f"{'':<18}{'ACC':>8}{'NMI':>8}{'ARI':>8}{'seconds':>10}")
for name, (clusterer, X) in methods.items():
    start = perf_counter()
    labels = clusterer.fit_predict(X)
    seconds = perf_counter() - start
    print(
        f"{name:<18}"
        f"{clustering_accuracy(digits.target, labels):8.3f}"
        f"{normalized_mutual_info_score(digits.target, labels):8.3f}"
        f"{adjusted_rand_score(digits.target, labels):8.3f}"
        f"{seconds:10.1f}"
    )

# %%
# What was found
# --------------
#
# Left, the learned embedding in two dimensions. Right, the images that the model is
# most certain of, a row for each cluster.

points = TSNE(random_state=0).fit_transform(model.embedding_)
confidence = model.predict_proba(digits.images).max(axis=1)
colors = plt.get_cmap("tab10").colors

figure = plt.figure(figsize=(11, 5.5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
scatter = left.subplots()
scatter.scatter(*points.T, s=6, c=[colors[label] for label in model.labels_])
for k in range(10):
    middle = np.median(points[model.labels_ == k], axis=0)
    scatter.annotate(
        str(k),
        middle,
        ha="center",
        va="center",
        weight="bold",
        bbox={"boxstyle": "circle", "facecolor": "white", "edgecolor": colors[k]},
    )
scatter.set(xticks=[], yticks=[], title="Embedding (t-SNE), coloured by cluster")

right.suptitle("Most typical images of each cluster")
for k, row in enumerate(right.subplots(10, 10)):
    members = np.flatnonzero(model.labels_ == k)
    typical = members[np.argsort(-confidence[members])]
    for axes, index in zip(row, typical, strict=False):
        axes.imshow(digits.images[index], cmap="gray_r")
    for axes in row:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    row[0].set_ylabel(k, rotation=0, va="center", labelpad=12, color=colors[k])

figure.savefig("quickstart.png", dpi=150)
print("The figure is in quickstart.png")
