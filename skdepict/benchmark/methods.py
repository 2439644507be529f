"""The clusterers that are compared."""


def make_kmeans(shape, n_clusters, seed):
    """KMeans with ten starts."""
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=10, random_state=seed)


def make_gmm(shape, n_clusters, seed):
    """A Gaussian mixture on at most 50 principal components."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        PCA(min(50, *shape), random_state=seed),
        GaussianMixture(n_clusters, random_state=seed),
    )


def make_depict(shape, n_clusters, seed):
    """DEPICTClustering with its default parameters."""
    from skdepict import DEPICTClustering

    return DEPICTClustering(n_clusters, random_state=seed)


def make_path_integral(shape, n_clusters, seed):
    """PathIntegralClustering with its default parameters; draws no random numbers."""
    from skdepict import PathIntegralClustering

    return PathIntegralClustering(n_clusters)


def make_spectral(shape, n_clusters, seed):
    """SpectralClustering on a graph of nearest neighbours."""
    from sklearn.cluster import SpectralClustering

    return SpectralClustering(
        n_clusters, affinity="nearest_neighbors", random_state=seed
    )


def make_ward(shape, n_clusters, seed):
    """AgglomerativeClustering by Ward's criterion."""
    from sklearn.cluster import AgglomerativeClustering

    return AgglomerativeClustering(n_clusters)


def make_published_depict(shape, n_clusters, seed):
    """DEPICTClustering as its paper describes it."""
    from skdepict import DEPICTClustering

    return DEPICTClustering.as_published(n_clusters, random_state=seed)


def make_tsne_gmm(shape, n_clusters, seed):
    """A Gaussian mixture on a map by t-SNE."""
    from sklearn.manifold import TSNE
    from sklearn.mixture import GaussianMixture

    return _OnMap(
        TSNE(random_state=seed), GaussianMixture(n_clusters, random_state=seed)
    )


class _OnMap:
    """A clusterer on a map that cannot place new samples, as a Pipeline asks."""

    def __init__(self, reducer, clusterer):
        self.reducer, self.clusterer = reducer, clusterer

    def __repr__(self):
        return f"{self.clusterer!r} on {self.reducer!r}"

    def fit_predict(self, X):
        """Reduce and cluster."""
        return self.clusterer.fit_predict(self.reducer.fit_transform(X))


def make_umap_gmm(shape, n_clusters, seed):
    """A Gaussian mixture on ten dimensions by UMAP."""
    from sklearn.mixture import GaussianMixture
    from sklearn.pipeline import make_pipeline
    from umap import UMAP

    return make_pipeline(
        UMAP(n_components=10, random_state=seed),
        GaussianMixture(n_clusters, random_state=seed),
    )


def make_hdbscan(shape, n_clusters, seed):
    """HDBSCAN, which finds the number of clusters and leaves samples out."""
    from sklearn.cluster import HDBSCAN

    return HDBSCAN(min_cluster_size=_smallest_cluster(shape, n_clusters), copy=True)


def make_umap_hdbscan(shape, n_clusters, seed):
    """HDBSCAN on ten dimensions by UMAP without gaps, as its documentation advises."""
    from sklearn.cluster import HDBSCAN
    from sklearn.pipeline import make_pipeline
    from umap import UMAP

    return make_pipeline(
        UMAP(n_neighbors=30, min_dist=0.0, n_components=10, random_state=seed),
        HDBSCAN(min_cluster_size=_smallest_cluster(shape, n_clusters), copy=True),
    )


def _smallest_cluster(shape, n_clusters):
    """A fifth of the mean size: it has to be told something of the number."""
    return max(5, shape[0] // (5 * n_clusters))


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


def _peer(name):
    """A factory for a deep clusterer of ClustPy."""

    def make(shape, n_clusters, seed):
        from clustpy import deep

        return getattr(deep, name)(n_clusters, random_state=seed)

    make.__doc__ = f"ClustPy's {name}."
    return make


def _ablation(class_name, parameters):
    """A factory for DEPICTClustering with something changed."""

    def make(shape, n_clusters, seed):
        from skdepict.benchmark import ablations

        changed = getattr(ablations, class_name)
        return changed(n_clusters, random_state=seed, **parameters)

    return make


# name: a class in ablations.py, and the parameters that differ from the defaults. All
# are to be compared with "depict", but "clean-gradient" with "reconstruction" and
# "no-prior", which lacks everything that looks at cluster sizes, with "one-graph".
ABLATIONS = {
    "depict:kmeans-init": (
        "DEPICTClustering",
        {"init": "kmeans", "pretrain_epochs": 20},
    ),
    "depict:one-graph": ("OneGraph", {}),
    "depict:plain-cut": ("PlainCut", {}),
    "depict:one-round": ("DEPICTClustering", {"max_rounds": 1}),
    "depict:no-affine": ("DEPICTClustering", {"affine_noise": False}),
    "depict:no-elastic": ("DEPICTClustering", {"elastic_noise": False}),
    "depict:no-dropout": ("DEPICTClustering", {"dropout": 0.0}),
    "depict:square-root": ("DEPICTClustering", {"target": "square-root"}),
    "depict:no-joint": ("DEPICTClustering", {"max_iter": 0}),
    "depict:no-prior": ("WithoutPrior", {"early_stopping": False, "max_rounds": 1}),
    "depict:no-average": ("DEPICTClustering", {"average_decay": 0.0}),
    "depict:no-early-stopping": ("DEPICTClustering", {"early_stopping": False}),
    "depict:reconstruction": ("DEPICTClustering", {"reconstruction_weight": 1.0}),
    "depict:clean-gradient": ("WithCleanGradient", {"reconstruction_weight": 1.0}),
}
METHODS = {
    "kmeans": make_kmeans,
    "gmm": make_gmm,
    "depict": make_depict,
    "depict-published": make_published_depict,
    "path-integral": make_path_integral,
    "spectral": make_spectral,
    "ward": make_ward,
    "tsne-gmm": make_tsne_gmm,
    "umap-gmm": make_umap_gmm,
    "hdbscan": make_hdbscan,
    "umap-hdbscan": make_umap_hdbscan,
    "clustpy-dec": _peer("DEC"),
    "clustpy-idec": _peer("IDEC"),
    "clustpy-dcn": _peer("DCN"),
    "clustpy-n2d": make_n2d,
    "clustpy-ddc": make_ddc,
} | {name: _ablation(*change) for name, change in ABLATIONS.items()}
TAKES_IMAGES = {"depict", "depict-published", *ABLATIONS}
