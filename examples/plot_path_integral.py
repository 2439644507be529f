"""
Clusters and their tree
=======================

PathIntegralClustering finds curved clusters as well as groups of images, and keeps the
whole tree of merges: it can be drawn, and cut at another number of clusters without
fitting again.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_circles, make_moons

from skdepict import PathIntegralClustering

# %%
# Curved clusters
# ---------------
#
# Walks follow the curves, and never jump the gap between them.

moons, _ = make_moons(600, noise=0.06, random_state=0)
circles, _ = make_circles(600, noise=0.05, factor=0.5, random_state=0)
figure, rows = plt.subplots(
    2, 2, figsize=(7, 6), height_ratios=(0.55, 1), layout="constrained"
)
for row, X in zip(rows, (moons, circles), strict=True):
    for axes, clusterer in zip(
        row,
        (KMeans(2, n_init=10, random_state=0), PathIntegralClustering(2)),
        strict=True,
    ):
        labels = clusterer.fit_predict(X)
        axes.scatter(*X.T, c=np.array(["tab:blue", "tab:orange"])[labels], s=8)
        axes.set(xticks=[], yticks=[], aspect="equal", title=type(clusterer).__name__)
figure.savefig("path_integral_curves.png", dpi=150)

# %%
# The tree of the digits
# ----------------------
#
# Each leaf is one of the ten clusters, with the image nearest to its mean. The height
# of a merge says how much weaker its affinity is than that of the closest samples.

digits = load_digits()
model = PathIntegralClustering(n_clusters=10).fit(digits.data)

figure, tree = plt.subplots(figsize=(8, 4.5), layout="constrained")
heights = model.linkage_matrix()
drawn = dendrogram(
    heights,
    truncate_mode="lastp",
    p=10,
    ax=tree,
    no_labels=True,
    color_threshold=0,
    above_threshold_color="0.3",
)


def first_sample(node):
    """The first of the samples below a node."""
    while node >= model.n_leaves_:
        node = model.children_[node - model.n_leaves_, 0]
    return node


for position, node in enumerate(drawn["leaves"]):
    inside = digits.data[model.labels_ == model.labels_[first_sample(node)]]
    typical = np.argmin(np.linalg.norm(inside - inside.mean(axis=0), axis=1))
    picture = tree.inset_axes([position / 10 + 0.02, 0, 0.06, 0.13])
    picture.imshow(inside[typical].reshape(8, 8), cmap="gray_r")
    picture.set(xticks=[], yticks=[], xlabel=len(inside))
tree.set(
    ylim=(heights[-9:, 2].min() - 2.5, None),
    ylabel="log(highest affinity / affinity of the merge)",
    title="Ten clusters of digits, their sizes and their merges",
)
tree.spines[["top", "right", "bottom"]].set_visible(False)
figure.savefig("path_integral_tree.png", dpi=150)
