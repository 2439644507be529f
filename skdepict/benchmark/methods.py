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


METHODS = {
    "kmeans": make_kmeans,
    "gmm": make_gmm,
    "depict": make_depict,
    "path-integral": make_path_integral,
    "spectral": make_spectral,
    "ward": make_ward,
}
TAKES_IMAGES = {"depict"}
