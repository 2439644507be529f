"""
Time series
===========

Cylinders, bells and funnels: a plateau, a slow rise with a sudden fall, and the
reverse, at random times under noise (Saito, Local feature extraction and its
applications using a library of bases, 1994). Their shapes differ, but no single moment
tells them apart.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy

LENGTH = 128


def draw_series(shape, generator):
    """One series of a shape: 0 a cylinder, 1 a bell, 2 a funnel."""
    start = generator.integers(16, 33)
    stop = start + generator.integers(32, 97)
    t = np.arange(LENGTH)
    rise = (t - start) / (stop - start)
    form = (np.ones(LENGTH), rise, 1 - rise)[shape]
    inside = (start <= t) & (t <= stop)
    noise = generator.normal(size=LENGTH)
    return (6 + generator.normal()) * inside * form + noise


generator = np.random.default_rng(0)
shapes = np.arange(900) % 3
series = np.array([draw_series(shape, generator) for shape in shapes])

model = DEPICTClustering(n_clusters=3, network="sequence", random_state=0).fit(series)
kmeans = KMeans(n_clusters=3, n_init=10, random_state=0).fit(series)
print(f"DEPICTClustering: ACC {clustering_accuracy(shapes, model.labels_):.3f}")
print(f"KMeans: ACC {clustering_accuracy(shapes, kmeans.labels_):.3f}")

# %%
# The series that the model is most certain of, and the mean of each cluster.

certainty = model.predict_proba(series).max(axis=1)
figure, rows = plt.subplots(3, 1, sharex=True, layout="constrained")
for cluster, axes in enumerate(rows):
    members = np.flatnonzero(model.labels_ == cluster)
    typical = members[np.argsort(-certainty[members])][:5]
    axes.plot(series[typical].T, color="0.7", lw=0.8)
    axes.plot(series[members].mean(axis=0), color=f"C{cluster}", lw=2)
    axes.set_ylabel(f"cluster {cluster}\n({len(members)})")
rows[-1].set_xlabel("time")
figure.savefig("series.png", dpi=150)
plt.show()
