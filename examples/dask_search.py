"""
Searching on a dask cluster
===========================

Parameters are searched for on a cluster; here, of two workers on this machine.

``pip install "skdepict[dask]"``, then ``python examples/dask_search.py``.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/dask_search.png"

from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV

from skdepict import DEPICTClustering


def search(images, y, grid, **parameters):
    """The grid search, on two workers of one thread each."""
    model = DEPICTClustering(10, random_state=0, **parameters)
    # With classes at hand the search can be judged; without, leave `scoring` out.
    scoring = make_scorer(adjusted_rand_score)
    with (
        LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config(backend="dask"),
    ):
        return GridSearchCV(model, grid, scoring=scoring, cv=2).fit(images, y)


if __name__ == "__main__":
    digits = load_digits()
    found = search(digits.images, digits.target, {"n_clusters": [8, 10, 12]})
    for params, score in zip(
        found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True
    ):
        print(params, f"{score:.3f}")
