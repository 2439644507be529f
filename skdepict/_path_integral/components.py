"""Principal components, partly whitened, as coordinates for neighbour graphs."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skdepict._data.checks import as_samples
from skdepict._data.partwise import in_memory
from skdepict._surroundings import sklearn_defaults

MIN_COMPONENTS_FOR_UNIT_LENGTH = 8
# Above this many rows and columns an iterative solver is faster than a dense one.
MAX_DENSE_SIDE = 1500
# Eigenvalues of a covariance are wrong by about the precision times the largest of
# them; deviations of fewer roots of the precision than this are rounding errors.
LEAST_DEVIATION_IN_ROOTS = 10


class WhitenedComponents(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Principal components, partly whitened, in rows of unit length.

    Coordinates in which the nearest neighbours of images, tables and texts tend to be
    of the same group. Each of the leading principal components is divided by a power
    of its standard deviation, so that the few largest do not decide alone; then each
    row is scaled to unit length, so that contrast does not count.

    Parameters
    ----------
    n_components : int, default=50
        The number of leading components, or as many as vary in smaller data.

    whitening : float in [0, 1], default=0.6
        Each component is divided by its standard deviation to this power: 0 keeps the
        geometry of the data, 1 gives all components the same spread.

    unit_length : bool or "auto", default="auto"
        Whether rows are scaled to unit length. "auto" does so from 8 components on: in
        few dimensions directions alone do not tell samples apart.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The principal axes.

    deviations_ : ndarray of shape (n_components,)
        The standard deviation of the samples along each axis.

    mean_ : ndarray of shape (n_features,)
        What is subtracted from samples; zeros if the fit saw sparse data.

    n_components_ : int
        The number of components, at most `n_components`.

    n_features_in_ : int
        The number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen in `fit`, if all were strings.

    See Also
    --------
    sklearn.decomposition.PCA : With ``whiten=True``, the case whitening=1.
    PathIntegralClustering : Uses these coordinates by default.

    Notes
    -----
    Sparse data with more than `n_components` features is not centred, which would make
    it dense: the components are then those of a truncated singular value decomposition.
    The solvers draw no random numbers that matter: the same data give the same
    components, up to rounding.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdepict import WhitenedComponents
    >>> X, _ = load_digits(return_X_y=True)
    >>> WhitenedComponents(n_components=20).fit_transform(X).shape
    (1797, 20)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "whitening": [Interval(Real, 0, 1, closed="both")],
        "unit_length": ["boolean", StrOptions({"auto"})],
    }

    def __init__(self, n_components=50, *, whitening=0.6, unit_length="auto"):
        self.n_components = n_components
        self.whitening = whitening
        self.unit_length = unit_length

    @sklearn_defaults()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the components.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        X = validated_rows(self, X)
        n_components = min(self.n_components, *X.shape)
        if sparse.issparse(X) and min(X.shape) <= self.n_components:
            X = X.toarray()
        if sparse.issparse(X):
            self.mean_ = np.zeros(X.shape[1], dtype=X.dtype)
            scale = float(abs(X).max())
        else:
            self.mean_ = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
            scale = float(np.ptp(X, axis=0).max())
        if scale == 0:
            # Nothing varies: one component of zeros.
            self.components_ = np.eye(1, X.shape[1], dtype=X.dtype)
            deviations = np.zeros(1)
        else:
            # Of a range of about 1, for squares of any values are finite then.
            scaled = (X if sparse.issparse(X) else X - self.mean_) / scale
            self.components_, deviations = principal_axes(scaled, n_components)
        self.deviations_ = deviations * scale
        self.n_components_ = self._n_features_out = len(deviations)
        return self

    @sklearn_defaults()
    def transform(self, X):
        """Compute the coordinates of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        coordinates : ndarray of shape (n_samples, n_components)
            Rows of unit length, if `unit_length` says so; a sample at the mean stays
            at zero.
        """
        check_is_fitted(self)
        X = validated_rows(self, X, reset=False)
        scale = np.where(self.deviations_ > 0, self.deviations_, 1) ** self.whitening
        axes = (self.components_ / scale[:, None]).T.astype(X.dtype)
        mean = self.mean_.astype(X.dtype)
        if sparse.issparse(X):
            coordinates = X @ axes - mean @ axes
        else:
            coordinates = (X - mean) @ axes
        unit_length = self.unit_length
        if unit_length == "auto":
            unit_length = self.n_components_ >= MIN_COMPONENTS_FOR_UNIT_LENGTH
        return normalize(coordinates, copy=False) if unit_length else coordinates

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def principal_axes(X, n_components, max_dense_side=MAX_DENSE_SIDE):
    """The principal axes along which samples vary.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_samples, n_features)
        Samples, centred unless they are sparse.
    n_components : int
        The number of axes at most.
    max_dense_side : int
        Above this many rows and columns the solver is an iterative one.

    Returns
    -------
    axes : ndarray of shape (n_axes, n_features)
        The one of the largest deviation first.
    deviations : ndarray of shape (n_axes,)
        The standard deviation of the samples along each axis.
    """
    if sparse.issparse(X):
        solver = TruncatedSVD(n_components, algorithm="arpack", random_state=0)
        deviations = solver.fit_transform(X).std(axis=0)
    else:
        kind = "covariance_eigh" if X.shape[0] >= X.shape[1] else "full"
        if min(X.shape) > max(max_dense_side, n_components):
            kind = "arpack"
        solver = PCA(n_components, svd_solver=kind, random_state=0).fit(X)
        deviations = np.sqrt(solver.explained_variance_)
    least = LEAST_DEVIATION_IN_ROOTS * np.sqrt(np.finfo(X.dtype).eps)
    # The largest stays in any case.
    n_axes = max(1, np.sum(deviations > deviations.max() * least))
    kept = np.argsort(-deviations, kind="stable")[:n_axes]
    return solver.components_[kept], deviations[kept].astype(np.float64)


def validated_rows(estimator, X, reset=True):
    """Samples as an array or csr matrix of floats, by the rules of scikit-learn.

    Parameters
    ----------
    estimator : estimator
        Learns the features, or compares them with those of its fit.
    X : object
        What the user passed.
    reset : bool, default=True
        Whether this is a fit, which needs two samples.

    Returns
    -------
    X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        float32 or float64 as before; bytes and other integers that fit are float32.
    """
    X = in_memory(as_samples(X))
    small = getattr(X, "dtype", None) in (np.uint8, np.int8, np.int16, np.uint16)
    return validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=[np.float32, np.float64] if small else [np.float64, np.float32],
        ensure_min_samples=2 if reset else 1,
    )
