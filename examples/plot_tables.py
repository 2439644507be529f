"""
Tables
======

Thirteen measurements of wines from three growers, in a frame: scaled, clustered, and
given back as a frame.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy
from skdepict.plotting import EmbeddingDisplay

wines = load_wine(as_frame=True)
model = make_pipeline(StandardScaler(), DEPICTClustering(n_clusters=3, random_state=0))
model.set_output(transform="pandas")
embedding = model.fit_transform(wines.data)
print(embedding.iloc[:3, :4])

# %%
# The growers are known, and were not told. With so few rows, in round groups, KMeans is
# the better choice; see the user guide for when it is not.

kmeans = make_pipeline(
    StandardScaler(), KMeans(n_clusters=3, n_init=10, random_state=0)
)
for name, labels in (
    ("DEPICTClustering", model[-1].labels_),
    ("KMeans", kmeans.fit_predict(wines.data)),
):
    print(f"{name}: ACC {clustering_accuracy(wines.target, labels):.3f}")

# %%
# The wines by grower, in the embedding.

display = EmbeddingDisplay.from_predictions(embedding, wines.target, name="grower")
display.figure_.savefig("tables.png", dpi=150)

# %%
# A frame of polars does as well.

import polars  # noqa: E402

frame = polars.DataFrame(wines.data.to_dict("list"))
model.set_output(transform="polars")
print(model.transform(frame).shape)
plt.show()
