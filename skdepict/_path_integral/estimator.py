"""Agglomerative clustering by the maximum incremental path integral (AC-PIC)."""

from numbers import Integral, Real
from typing import ClassVar

from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.neighbors import VALID_METRICS
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdepict._path_integral.components import WhitenedComponents, validated_rows
from skdepict._path_integral.copies import Copies
from skdepict._path_integral.cuts import cut_children, linkage_of_children
from skdepict._path_integral.graph import nearest_neighbors
from skdepict._path_integral.tree import merge_neighbors
from skdepict._surroundings import sklearn_defaults, warn

# Without those that need parameters of their own or are for missing values.
METRICS = set(VALID_METRICS["brute"]) | {"whitened", "precomputed"}
METRICS -= {"mahalanobis", "seuclidean", "minkowski", "nan_euclidean"}


class PathIntegralClustering(ClusterMixin, BaseEstimator):
    """Agglomerative clustering by the maximum incremental path integral (AC-PIC).

    A random walk goes from each sample to its nearest neighbours. Two clusters are
    merged when walks that start in one of them often visit the other and come back
    [1]_. Starting with each sample and its nearest neighbour, the pair of the highest
    affinity is merged again and again. Clusters may be curved or long, and of any
    number of dimensions.

    Parameters
    ----------
    n_clusters : int or None, default=8
        The number of clusters. None takes the number at which the affinity of the
        clusters falls most, see Notes.

    n_neighbors : int, default=20
        Neighbours of each sample in the graph, itself not counted. More of them give
        smoother, larger groups; fewer keep small groups apart.

    bandwidth : float, default=0.15
        The weight of an edge is exp(-d**2 / s), with s this number times the mean of
        d**2 over the edges of the sample. The smaller it is, the less distant
        neighbours count.

    z : float in [1e-6, 0.99], default=0.01
        The discount of each step of a walk [1]_. The closer to 1, the more long walks
        count, and the longer it takes.

    min_cluster_fraction : float in [0, 1), default=0.1
        A group counts as a cluster from this share of n_samples / n_clusters on, or
        half of it, and so on, while fewer than n_clusters groups would count.
        Samples of smaller groups go to the clusters of their neighbours, so that a few
        outliers never use up a cluster. 0 cuts the tree as it is.

    metric : str or callable, default="whitened"
        How neighbours are found.

        - "whitened": by the Euclidean distance of the samples'
          :class:`WhitenedComponents`.
        - a metric of :class:`~sklearn.neighbors.NearestNeighbors`, on X as it is.
        - "precomputed": X holds distances, as a square array or as a sparse graph of
          the nearest ones, such as
          :class:`~sklearn.neighbors.KNeighborsTransformer` gives.

    n_jobs : int or None, default=None
        Threads that search for neighbours, where the search does not use all cores
        anyway. The result does not depend on it.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        The cluster of each sample; 0 is the largest.

    n_clusters_ : int
        The number of clusters.

    children_ : ndarray of shape (n_samples - 1, 2)
        The merges in the form of :class:`~sklearn.cluster.AgglomerativeClustering`:
        nodes below n_samples are samples, and merge i makes node n_samples + i. The
        first n_samples - `n_clusters_` merges make `labels_`.

    affinities_ : ndarray of shape (n_samples - 1,)
        The affinity of each merge: infinite for samples joined to their nearest
        neighbours before affinities are computed, and 0 for clusters that no walk
        joins.

    n_leaves_ : int
        The number of leaves of the tree, n_samples.

    n_connected_components_ : int
        The number of connected components of the graph.

    n_features_in_ : int
        The number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen in `fit`, if all were strings.

    See Also
    --------
    DEPICTClustering : Starts from these clusters, and can label new samples.
    sklearn.cluster.AgglomerativeClustering : By distances instead of walks.
    sklearn.cluster.SpectralClustering : By the eigenvectors of a similar graph.

    Notes
    -----
    For ``n_clusters=None`` it is the k of the largest sqrt(k) * log(a / b), with a the
    affinity of the merge that leaves k clusters that count, and b that of the next one.
    It is looked for from 2 to 500, and to a third of the groups that samples and their
    nearest neighbours make (about one to four samples). Only if they all are one group,
    k is 1.

    Rows that are equal are one point of the graph, which counts as often as it occurs,
    and always in one cluster, unless there are more clusters than different rows.

    The affinities are exact: bounds made of sparse sums tell which few pairs need their
    walks summed (see "The method" in the documentation). Memory grows with n_samples *
    n_neighbors, and time a little faster, apart from the search for neighbours.

    New samples cannot be labelled; :class:`DEPICTClustering` does that, or any
    classifier that is fitted to `labels_`.

    References
    ----------
    .. [1] Zhang, Zhao and Wang, "Agglomerative clustering via maximum incremental path
       integral", Pattern Recognition 46, 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdepict import PathIntegralClustering
    >>> X, y = load_digits(return_X_y=True)
    >>> model = PathIntegralClustering(n_clusters=10).fit(X)
    >>> model.labels_.shape
    (1797,)
    >>> model.cut(5).max()
    np.int64(4)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "bandwidth": [Interval(Real, 0, None, closed="neither")],
        "z": [Interval(Real, 1e-6, 0.99, closed="both")],
        "min_cluster_fraction": [Interval(Real, 0, 1, closed="left")],
        "metric": [StrOptions(METRICS), callable],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_neighbors=20,
        bandwidth=0.15,
        z=0.01,
        min_cluster_fraction=0.1,
        metric="whitened",
        n_jobs=None,
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.bandwidth = bandwidth
        self.z = z
        self.min_cluster_fraction = min_cluster_fraction
        self.metric = metric
        self.n_jobs = n_jobs

    @sklearn_defaults()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Cluster X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
                (n_samples, n_samples)
            Samples, or distances if metric="precomputed".

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has fewer samples than clusters, or a precomputed graph has too few
            neighbours.
        """
        X = self._validate(X)
        copies = Copies.of_rows(X, self.metric)
        metric = self.metric
        points = X if metric == "precomputed" else X[copies.first]
        if metric == "whitened":
            metric = "euclidean"
            points = WhitenedComponents().fit(X).transform(points)
        merges = merge_neighbors(
            nearest_neighbors(points, self.n_neighbors, metric, self.n_jobs),
            copies,
            None if metric == "precomputed" else points,
            n_neighbors=self.n_neighbors,
            bandwidth=self.bandwidth,
            z=self.z,
            min_cluster_fraction=self.min_cluster_fraction,
        )
        tree = merges.tree(self.n_clusters)
        self.children_, self.affinities_ = tree.children, tree.affinities
        self.n_leaves_ = X.shape[0]
        self.n_connected_components_ = tree.n_connected_components
        self.n_clusters_ = tree.n_clusters
        self.labels_ = cut_children(tree.children, tree.n_clusters)
        n_parts = tree.n_connected_components
        if self.n_clusters is not None and self.n_clusters < n_parts:
            warn(
                f"The graph of {self.n_neighbors} nearest neighbours falls into "
                f"{n_parts} parts that no edge joins, more than n_clusters="
                f"{self.n_clusters}. The closest parts were joined to get there."
            )
        return self

    def cut(self, n_clusters):
        """Cut the tree at another number of clusters.

        The cuts of one tree are nested: that at k merges two clusters of that at k + 1.
        `min_cluster_fraction` keeps the meaning it had in `fit`, for the number of
        clusters found there.

        Parameters
        ----------
        n_clusters : int
            From 1 to the number of samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The cluster of each sample; 0 is the largest.
        """
        check_is_fitted(self)
        # True counts as 1 in Python, but is no number of clusters.
        legal = Interval(Integral, 1, self.n_leaves_, closed="both")
        if isinstance(n_clusters, bool) or not legal.is_satisfied_by(n_clusters):
            raise ValueError(
                f"n_clusters={n_clusters!r} must be an integer from 1 to the "
                f"{self.n_leaves_} samples of the tree."
            )
        return cut_children(self.children_, n_clusters)

    def linkage_matrix(self):
        """The tree in the form of :func:`scipy.cluster.hierarchy.linkage`.

        Returns
        -------
        linkage : ndarray of shape (n_samples - 1, 4)
            The two nodes of each merge, its height and its number of samples. The
            height is the logarithm of the highest affinity over that of the merge, and
            at least that of the nodes it joins; merges of affinity 0 are one higher
            than all others. Ready for :func:`scipy.cluster.hierarchy.dendrogram`.
        """
        check_is_fitted(self)
        return linkage_of_children(self.children_, self.affinities_)

    def _validate(self, X):
        X = validated_rows(self, X)
        if X.shape[0] < (self.n_clusters or 1):
            raise ValueError(
                f"n_samples={X.shape[0]} should be >= n_clusters={self.n_clusters}. "
                "Pass more samples or ask for fewer clusters."
            )
        if self.metric == "precomputed" and X.shape[0] != X.shape[1]:
            raise ValueError(
                f"metric='precomputed' needs a square matrix of distances, got shape "
                f"{X.shape}. Pass samples with another metric, or their distances."
            )
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.metric == "precomputed"
        tags.input_tags.positive_only = self.metric == "precomputed"
        return tags
