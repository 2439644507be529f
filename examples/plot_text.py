"""
Texts
=====

The documentation of functions of four packages, clustered by its words. Which package a
text comes from is not told; a cluster is right if it is mostly of one.
"""

import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy
from skdepict.plotting import EmbeddingDisplay

# %%
# The texts
# ---------
#
# The longest 80 of each package, without the packages' names, which would tell them.

PACKAGES = {
    "arrays": "numpy",
    "statistics": "scipy.stats",
    "drawing": "matplotlib.pyplot",
    "metrics": "sklearn.metrics",
}
texts, topics = [], []
for topic, package in PACKAGES.items():
    module = importlib.import_module(package)
    functions = filter(callable, (getattr(module, name) for name in dir(module)))
    documents = {inspect.getdoc(function) or "" for function in functions}
    longest = sorted(documents, key=lambda text: (-len(text), text))[:80]
    texts += longest
    topics += [topic] * len(longest)

# %%
# One estimator, from texts to clusters
# -------------------------------------

words = TfidfVectorizer(
    sublinear_tf=True,
    stop_words=["the", "numpy", "np", "scipy", "stats", "matplotlib", "plt", "sklearn"],
    min_df=3,
)
numbers = TruncatedSVD(50, random_state=0)
model = make_pipeline(words, numbers, DEPICTClustering(4, random_state=0))
labels = model.fit_predict(texts)
kmeans = make_pipeline(words, numbers, KMeans(4, n_init=10, random_state=0))
print(f"DEPICTClustering: ACC {clustering_accuracy(topics, labels):.3f}")
print(f"KMeans: ACC {clustering_accuracy(topics, kmeans.fit_predict(texts)):.3f}")
print(pandas.crosstab(np.array(topics), labels))

# %%
# It can be asked about texts that it has not seen.

print(model.predict_proba(["Draw a line on the axes in a color."]).round(3))
display = EmbeddingDisplay.from_predictions(
    model[-1].embedding_, np.array(topics), name="topic"
)
display.figure_.savefig("text.png", dpi=150)
plt.show()
