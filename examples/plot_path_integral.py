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
figure, rows = plt.subplots(2, 2, figsize=(7, 6.4), layout="constrained")
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

figure, (tree, *images) = plt.subplots(
    11,
    1,
    figsize=(8, 5),
    gridspec_kw={"height_ratios": [8] + [0.001] * 10},
)
for axes in images:
    axes.remove()
drawn = dendrogram(
    model.linkage_matrix(),
    truncate_mode="lastp",
    p=10,
    ax=tree,
    no_labels=True,
    color_threshold=0,
    above_threshold_color="0.3",
)
children, n_samples = model.children_, len(digits.data)


def members(node):
    """The samples below a node."""
    if node < n_samples:
        return [node]
    left, right = children[node - n_samples]
    return members(left) + members(right)


low = model.linkage_matrix()[-9:, 2].min()
tree.set(ylim=(low - 2.5, None), ylabel="log of highest over merge's affinity")
for position, node in enumerate(drawn["leaves"]):
    inside = digits.data[members(node)]
    typical = np.argmin(np.linalg.norm(inside - inside.mean(axis=0), axis=1))
    picture = tree.inset_axes(
        [position / 10 + 0.02, 0.0, 0.06, 0.12], transform=tree.transAxes
    )
    picture.imshow(inside[typical].reshape(8, 8), cmap="gray_r")
    picture.set(xticks=[], yticks=[], xlabel=len(inside))
tree.spines[["top", "right", "bottom"]].set_visible(False)
tree.set_title("Ten clusters of digits, their sizes and their merges")
figure.savefig("path_integral_tree.png", dpi=150)
