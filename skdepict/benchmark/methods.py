"""The clusterers that are compared.

Each function takes the shape of the samples as rows, the number of clusters and a seed.
Packages are imported only by what needs them: their memory is part of what is measured.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pkgutil import resolve_name

from skdepict.benchmark.data import falling_sizes


def make(name, shape, n_clusters, seed, **parameters):
    """A clusterer by its name, with the parameters that differ from its defaults."""
    return resolve_name(name)(n_clusters, random_state=seed, **parameters)


def make_without_seed(name, shape, n_clusters, seed):
    """A clusterer that draws no random numbers."""
    return resolve_name(name)(n_clusters)


class OnMap:
    """A clusterer on what a reducer makes of the samples; a Pipeline takes no t-SNE."""

    def __init__(self, reducer, clusterer):
        self.reducer, self.clusterer = reducer, clusterer

    def __repr__(self):
        return f"{self.clusterer!r} on {self.reducer!r}"

    def fit_predict(self, X):
        """Reduce and cluster."""
        return self.clusterer.fit_predict(self.reducer.fit_transform(X))


def make_on_map(reducer, make_clusterer, shape, n_clusters, seed, **parameters):
    """A clusterer on the map of a reducer, by the reducer's name and parameters."""
    return OnMap(
        resolve_name(reducer)(random_state=seed, **parameters),
        make_clusterer(shape, n_clusters, seed),
    )


def make_kmeans_on_unit_vectors(shape, n_clusters, seed):
    """KMeans of directions, as is usual for embeddings."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import Normalizer

    kmeans = KMeans(n_clusters, n_init=10, random_state=seed)
    return OnMap(Normalizer(), kmeans)


make_mixture = partial(make, "sklearn.mixture.GaussianMixture")


def make_gmm(shape, n_clusters, seed):
    """A Gaussian mixture on at most 50 principal components."""
    pca, n_components = "sklearn.decomposition.PCA", min(50, *shape)
    return make_on_map(
        pca, make_mixture, shape, n_clusters, seed, n_components=n_components
    )


def make_hdbscan(shape, n_clusters, seed):
    """HDBSCAN, which finds the number of clusters and leaves samples out."""
    from sklearn.cluster import HDBSCAN

    # It has to be told something of the number: a fifth of the mean size.
    smallest = max(5, shape[0] // (5 * n_clusters))
    return HDBSCAN(min_cluster_size=smallest, copy=True)


def make_n2d(shape, n_clusters, seed):
    """ClustPy's N2D on UMAP, as in its paper; its default, t-SNE, allows 3 clusters."""
    from clustpy.deep import N2D
    from umap import UMAP

    parameters = {"n_components": n_clusters, "n_neighbors": 20, "min_dist": 0.0}
    return N2D(
        n_clusters, manifold_class=UMAP, manifold_params=parameters, random_state=seed
    )


def make_ddc(shape, n_clusters, seed):
    """ClustPy's DDC, which finds the number of clusters."""
    from clustpy.deep import DDC

    return DDC(random_state=seed)


def make_evoc(shape, n_clusters, seed):
    """EVoC, which leaves samples out, and is told about how many clusters there are."""
    from evoc import EVoC

    return EVoC(approx_n_clusters=n_clusters, random_state=seed)


class SpectralNetwork:
    """SpectralNet as its authors run it on images: on pretrained features, siamese."""

    def __init__(self, n_clusters, seed):
        self.n_clusters, self.seed = n_clusters, seed

    def __repr__(self):
        return f"SpectralNet({self.n_clusters}, should_use_ae, should_use_siamese)"

    def fit_predict(self, X):
        """Train and label; it draws from the global generators of torch and numpy."""
        import numpy as np
        import torch
        from spectralnet import SpectralNet

        np.random.seed(self.seed)  # noqa: NPY002
        torch.manual_seed(self.seed)
        model = SpectralNet(
            self.n_clusters, should_use_ae=True, should_use_siamese=True
        )
        X = torch.as_tensor(X, dtype=torch.float32)
        model.fit(X)
        return model.predict(X)


def make_spectralnet(shape, n_clusters, seed):
    """SpectralNet on an autoencoder's features with siamese distances."""
    return SpectralNetwork(n_clusters, seed)


def make_told(shape, n_clusters, seed, ratio):
    """DEPICTClustering that is told the sizes of the classes."""
    candidates = (falling_sizes(n_clusters, ratio, m) for m in range(5, shape[0]))
    sizes = next(sizes for sizes in candidates if sum(sizes) >= shape[0])
    prior = [size / sum(sizes) for size in sizes]
    name = "skdepict.DEPICTClustering"
    return make(name, shape, n_clusters, seed, prior=prior)


def make_auto(shape, n_clusters, seed):
    """DEPICTClustering that is not told the number of clusters."""
    return make("skdepict.DEPICTClustering", shape, "auto", seed)


METHODS: dict[str, Callable] = {
    "kmeans": partial(make, "sklearn.cluster.KMeans", n_init=10),
    "gmm": make_gmm,
    "spectral": partial(
        make, "sklearn.cluster.SpectralClustering", affinity="nearest_neighbors"
    ),
    "ward": partial(make_without_seed, "sklearn.cluster.AgglomerativeClustering"),
    "tsne-gmm": partial(make_on_map, "sklearn.manifold.TSNE", make_mixture),
    "umap-gmm": partial(make_on_map, "umap.UMAP", make_mixture, n_components=10),
    "hdbscan": make_hdbscan,
    # Without gaps, as UMAP's documentation advises.
    "umap-hdbscan": partial(
        make_on_map,
        "umap.UMAP",
        make_hdbscan,
        n_neighbors=30,
        min_dist=0.0,
        n_components=10,
    ),
    "clustpy-dec": partial(make, "clustpy.deep.DEC"),
    "clustpy-idec": partial(make, "clustpy.deep.IDEC"),
    "clustpy-dcn": partial(make, "clustpy.deep.DCN"),
    "clustpy-n2d": make_n2d,
    "clustpy-ddc": make_ddc,
    "spectralnet": make_spectralnet,
    "evoc": make_evoc,
    "path-integral": partial(make_without_seed, "skdepict.PathIntegralClustering"),
    "depict-published": partial(make, "skdepict:DEPICTClustering.as_published"),
    "depict-short": partial(
        make, "skdepict:DEPICTClustering.as_published", budget="short"
    ),
    "depict-sigmoid-short": partial(
        make,
        "skdepict:DEPICTClustering.as_published",
        budget="short",
        network="sigmoid_conv",
    ),
    "depict": partial(make, "skdepict.DEPICTClustering"),
    "depict-auto": make_auto,
}
TABLE_METHODS = {
    "kmeans": METHODS["kmeans"],
    "kmeans-unit": make_kmeans_on_unit_vectors,
    **{
        name: METHODS[name]
        for name in (
            *("gmm", "spectral", "umap-gmm", "umap-hdbscan", "evoc", "path-integral"),
            *("depict", "depict-auto"),
        )
    },
}
TIMED_METHODS = {
    name: METHODS[name] for name in ("kmeans", "gmm", "umap-hdbscan", "depict")
}
# The ceiling where classes are of unequal size.
TOLD = "depict-told"
UNEVEN_METHODS = {
    name: METHODS[name]
    for name in (
        *("kmeans", "gmm", "umap-gmm", "umap-hdbscan", "path-integral"),
        *("depict", "depict-auto"),
    )
} | {TOLD: make_told}
# Their results are the same for every seed.
WITHOUT_SEED = ("ward", "path-integral", "hdbscan")


def available(methods, is_installed=find_spec):
    """The methods whose packages are installed.

    Parameters
    ----------
    methods : iterable of str
        Names that begin with that of the package, if it is one of the peers.
    is_installed : callable, default=importlib.util.find_spec
        From the name of a package to whether it is there.

    Returns
    -------
    available : list of str
    """
    peers = ("aeon", "clustpy", "evoc", "spectralnet", "umap")
    missing = [name for name in peers if not is_installed(name)]
    return [name for name in methods if name.partition("-")[0] not in missing]
