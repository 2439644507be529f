"""The embedding as points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skdepict._data.hints import RandomStateLike, SamplesLike
from skdepict.plotting._axes import MAX_LEGEND, fitted_model, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class EmbeddingDisplay:
    """The embedding in two dimensions, each sample a point.

    Use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Where the samples are drawn.
    values : ndarray of shape (n_samples,)
        What the colours mean: names of groups, or numbers on a scale.
    name : str
        What `values` are.
    continuous : bool
        Whether `values` are on a scale.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdepict import DEPICTClustering
    >>> from skdepict.plotting import EmbeddingDisplay
    >>> images = load_digits().images[:200]
    >>> model = DEPICTClustering(
    ...     10, fit_epochs=5, max_iter=1, random_state=0).fit(images)
    >>> display = EmbeddingDisplay.from_estimator(model, reducer="pca")
    >>> display.points.shape
    (200, 2)
    """

    def __init__(
        self,
        points: NDArray[Any],
        values: NDArray[Any],
        name: str = "cluster",
        continuous: bool = False,
    ) -> None:
        self.points = points
        self.values = values
        self.name = name
        self.continuous = continuous

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: SamplesLike | None = None,
        *,
        color: ArrayLike = "cluster",
        reducer: str | TransformerMixin = "tsne",
        max_samples: int = 5000,
        random_state: RandomStateLike = 0,
        ax: Axes | None = None,
        **scatter_parameters: Any,
    ) -> Self:
        """Draw the embedding of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted; or a pipeline that ends in one, or a search for one.
        X : array-like, default=None
            Samples to embed; by default those of `fit`.
        color : {"cluster", "confidence", "typicality"} or array-like of shape \
                (n_samples,), default="cluster"
            What is shown by colours: the cluster, the probability of it or
            `score_samples` (both need X), or labels of your own.
        reducer : {"tsne", "pca"} or transformer, default="tsne"
            What brings the embedding to two dimensions.
        max_samples : int, default=5000
            Of more samples a random part is drawn.
        random_state : int, RandomState instance or None, default=0
            Seeds that choice, and the reducers.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.
        **scatter_parameters
            Passed on to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : EmbeddingDisplay
            With what was drawn.
        """
        estimator, X = fitted_model(cls, estimator, X)
        embedding = estimator.embedding_ if X is None else estimator.transform(X)
        name = color if isinstance(color, str) else "label"
        if not isinstance(color, str):
            values = color
        elif color == "cluster":
            values = estimator.labels_ if X is None else estimator.predict(X)
        elif color not in ("confidence", "typicality"):
            raise ValueError(
                f"color={color!r} must be 'cluster', 'confidence', 'typicality' or "
                f"labels of shape ({len(embedding)},)."
            )
        elif X is None:
            raise ValueError(f"color={color!r} needs X: pass the samples.")
        elif color == "typicality":
            values = estimator.score_samples(X)
        else:
            values = estimator.predict_proba(X).max(axis=1)
        return cls.from_predictions(
            embedding,
            values,
            name=name,
            continuous=name in ("confidence", "typicality"),
            reducer=reducer,
            max_samples=max_samples,
            random_state=random_state,
            ax=ax,
            **scatter_parameters,
        )

    @classmethod
    def from_predictions(
        cls,
        embedding: ArrayLike,
        values: ArrayLike,
        *,
        name: str = "cluster",
        continuous: bool = False,
        reducer: str | TransformerMixin = "tsne",
        max_samples: int = 5000,
        random_state: RandomStateLike = 0,
        ax: Axes | None = None,
        **scatter_parameters: Any,
    ) -> Self:
        """Draw an embedding, whatever it comes from.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_dimensions)
            Where the samples are.
        values : array-like of shape (n_samples,)
            What is shown by colours.
        name : str, default="cluster"
            What `values` are.
        continuous : bool, default=False
            Whether `values` are numbers on a scale.
        reducer : {"tsne", "pca"} or transformer, default="tsne"
            What brings the embedding to two dimensions.
        max_samples : int, default=5000
            Of more samples a random part is drawn.
        random_state : int, RandomState instance or None, default=0
            Seeds that choice, and the reducers.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.
        **scatter_parameters
            Passed on to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : EmbeddingDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        points, shown = np.asarray(embedding), column_or_1d(values)
        check_consistent_length(points, shown)
        generator = check_random_state(random_state)
        if len(points) > max_samples:
            chosen = generator.choice(len(points), max_samples, replace=False)
            points, shown = points[chosen], shown[chosen]
        reduce = _reducer(reducer, len(points), generator).fit_transform
        # A line, or one point, is drawn as it is.
        if not isinstance(reducer, str) or min(points.shape) > 1:
            points = np.asarray(reduce(points))
        points = np.pad(points[:, :2], [(0, 0), (0, max(0, 2 - points.shape[1]))])
        display = cls(points, shown, name, continuous)
        return display.plot(ax=ax, **scatter_parameters)

    def plot(self, ax: Axes | None = None, **scatter_parameters: Any) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.
        **scatter_parameters
            Passed on to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : EmbeddingDisplay
            With what was drawn.
        """
        ax = new_axes(self, ax)
        size = min(30.0, max(3.0, 20_000 / len(self.points)))
        parameters = {"s": size, "linewidths": 0} | scatter_parameters
        if self.continuous:
            x, y = self.points.T
            drawn = ax.scatter(x, y, c=self.values, **parameters)
            ax.figure.colorbar(drawn, ax=ax, label=self.name)
        else:
            self._scatter_groups(ax, parameters)
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"Embedding by {self.name}", fontsize=10)
        return self

    def _scatter_groups(self, ax: Axes, parameters: dict[str, Any]) -> None:
        import matplotlib

        names, groups = np.unique(self.values, return_inverse=True)
        if len(names) <= MAX_LEGEND:
            colormap = "tab10" if len(names) <= 10 else "tab20"
            colors = matplotlib.colormaps[colormap](np.arange(len(names)))
        else:
            colors = matplotlib.colormaps["hsv"](np.linspace(0, 1, len(names) + 1))
        for group, name in enumerate(names):
            place = self.points[groups == group]
            ax.scatter(*place.T, color=[colors[group]], label=str(name), **parameters)
            if len(names) > MAX_LEGEND:
                ax.annotate(str(name), np.median(place, axis=0), fontsize=6)
        if len(names) <= MAX_LEGEND:
            ax.legend(
                title=self.name,
                loc="center left",
                bbox_to_anchor=(1, 0.5),
                markerscale=max(1.0, 6 / np.sqrt(parameters["s"])),
                frameon=False,
            )


def _reducer(
    reducer: str | TransformerMixin, n_samples: int, generator: np.random.RandomState
) -> TransformerMixin:
    """The transformer that a name stands for."""
    if not isinstance(reducer, str):
        return reducer
    if reducer == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, random_state=generator)
    if reducer == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, max(1.0, (n_samples - 1) / 3))
        return TSNE(2, perplexity=perplexity, random_state=generator)
    raise ValueError(
        f"reducer={reducer!r} must be 'tsne', 'pca' or a transformer, such as "
        "sklearn.manifold.Isomap()."
    )
