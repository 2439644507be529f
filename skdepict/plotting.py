"""Pictures of what was found, as scikit-learn's displays.

Each display keeps what it has drawn as ``ax_`` (or ``axes_``) and ``figure_``.
"""

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

__all__ = [
    "ClusterImagesDisplay",
    "ClusterSizesDisplay",
    "DendrogramDisplay",
    "EmbeddingDisplay",
    "TrainingHistoryDisplay",
]

MAX_LEGEND = 20  # More colours than these nobody can tell apart.
GROUND = "0.92"
TERMS = {
    "reconstruction": "reconstruction loss",
    "clustering": "KL(Q || P)",
    "prior_divergence": "KL(f || u)",
    "target_change": "change of Q",
}


def _new_axes(display, ax):
    """The axes to draw on; new ones if there are none."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


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

    def __init__(self, points, values, name="cluster", continuous=False):
        self.points = points
        self.values = values
        self.name = name
        self.continuous = continuous

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        color="cluster",
        reducer="tsne",
        max_samples=5000,
        random_state=0,
        ax=None,
        **scatter_parameters,
    ):
        """Draw the embedding of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted.
        X : array-like, default=None
            Samples to embed; by default those of `fit`.
        color : {"cluster", "confidence"} or array-like of shape (n_samples,), \
                default="cluster"
            What is shown by colours: the cluster, the probability of it ("confidence",
            which needs X), or labels of your own.
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
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        embedding = estimator.embedding_ if X is None else estimator.transform(X)
        name, continuous = "label", False
        if isinstance(color, str) and color == "cluster":
            name = "cluster"
            color = estimator.labels_ if X is None else estimator.predict(X)
        elif isinstance(color, str) and color == "confidence":
            if X is None:
                raise ValueError("color='confidence' needs X: pass the samples.")
            name, continuous = "confidence", True
            color = estimator.predict_proba(X).max(axis=1)
        elif isinstance(color, str):
            raise ValueError(
                f"color={color!r} must be 'cluster', 'confidence' or labels of shape "
                f"({len(embedding)},)."
            )
        return cls.from_predictions(
            embedding,
            color,
            name=name,
            continuous=continuous,
            reducer=reducer,
            max_samples=max_samples,
            random_state=random_state,
            ax=ax,
            **scatter_parameters,
        )

    @classmethod
    def from_predictions(
        cls,
        embedding,
        values,
        *,
        name="cluster",
        continuous=False,
        reducer="tsne",
        max_samples=5000,
        random_state=0,
        ax=None,
        **scatter_parameters,
    ):
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
        embedding, values = np.asarray(embedding), column_or_1d(values)
        check_consistent_length(embedding, values)
        generator = check_random_state(random_state)
        if len(embedding) > max_samples:
            chosen = generator.choice(len(embedding), max_samples, replace=False)
            embedding, values = embedding[chosen], values[chosen]
        points = _reducer(reducer, len(embedding), generator).fit_transform(embedding)
        display = cls(np.asarray(points)[:, :2], values, name, continuous)
        return display.plot(ax=ax, **scatter_parameters)

    def plot(self, ax=None, **scatter_parameters):
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
        ax = _new_axes(self, ax)
        size = min(30.0, max(3.0, 20_000 / len(self.points)))
        parameters = {"s": size, "linewidths": 0} | scatter_parameters
        if self.continuous:
            drawn = ax.scatter(*self.points.T, c=self.values, **parameters)
            ax.figure.colorbar(drawn, ax=ax, label=self.name)
        else:
            self._scatter_groups(ax, parameters)
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"Embedding by {self.name}", fontsize=10)
        return self

    def _scatter_groups(self, ax, parameters):
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


def _reducer(reducer, n_samples, generator):
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


class ClusterImagesDisplay:
    """The most and the least certain images of each cluster, a row for each.

    Use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n_clusters, 2, n_images, height, width[, n_channels])
        The most and the least certain ones; NaN where a cluster has fewer.
    sizes : ndarray of shape (n_clusters,)
        The samples of each cluster.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (n_clusters, 2)
    figure_ : matplotlib Figure
    """

    def __init__(self, images, sizes):
        self.images = images
        self.sizes = sizes

    @classmethod
    def from_estimator(cls, estimator, X, *, n_images=10, figure=None):
        """Draw images of each cluster of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted to images.
        X : array-like
            Images, or their flattened rows.
        n_images : int, default=10
            How many of each cluster, most and least certain each.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ClusterImagesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        layout = estimator._input_format.layout
        if layout.kind != "image":
            raise ValueError(
                f"The model was fitted to samples of shape {layout.shape}, which are "
                "no images. Fit it with image_shape, or to images."
            )
        probabilities = estimator.predict_proba(X)
        images = layout.arrange(np.asarray(X).reshape(len(probabilities), -1))
        return cls.from_predictions(
            np.moveaxis(images, 1, -1), probabilities, n_images=n_images, figure=figure
        )

    @classmethod
    def from_predictions(cls, images, probabilities, *, n_images=10, figure=None):
        """Draw images by the probabilities of their clusters.

        Parameters
        ----------
        images : array-like of shape (n_samples, height, width) or (n_samples, height, \
                width, n_channels)
            What is drawn.
        probabilities : array-like of shape (n_samples, n_clusters)
            As `predict_proba` returns them.
        n_images : int, default=10
            How many of each cluster, most and least certain each.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ClusterImagesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        images, probabilities = np.asarray(images), np.asarray(probabilities)
        check_consistent_length(images, probabilities)
        labels, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
        n_clusters = probabilities.shape[1]
        chosen = np.full((n_clusters, 2, n_images, *images.shape[1:]), np.nan)
        for cluster in range(n_clusters):
            members = np.flatnonzero(labels == cluster)
            members = members[np.argsort(-certainty[members], kind="stable")]
            for row, order in enumerate((members, members[::-1])):
                shown = images[order[:n_images]]
                chosen[cluster, row, : len(shown)] = shown
        sizes = np.bincount(labels, minlength=n_clusters)
        return cls(chosen, sizes).plot(figure=figure)

    def plot(self, figure=None):
        """Draw the images.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ClusterImagesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        n_clusters, _, n_images, height, width = self.images.shape[:5]
        if figure is None:
            side = 0.42 * n_images
            lines = n_clusters * 0.42 * height / width
            figure = plt.figure(figsize=(2 * side + 1.6, lines + 0.7))
        self.figure_ = figure
        self.axes_ = figure.subplots(n_clusters, 2, squeeze=False)
        low, high = np.nanmin(self.images), np.nanmax(self.images)
        for cluster, row in enumerate(self.axes_):
            for ax, images in zip(row, self.images[cluster], strict=True):
                strip = np.concatenate(list(images), axis=1)
                if strip.ndim == 3 and strip.shape[-1] not in (3, 4):
                    strip = strip[..., 0]
                if strip.ndim == 3:
                    strip = np.nan_to_num((strip - low) / ((high - low) or 1.0), nan=1)
                    ax.imshow(strip)
                else:
                    ax.imshow(strip, cmap="gray_r", vmin=low, vmax=high)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            row[0].set_ylabel(
                f"{cluster}\n({self.sizes[cluster]:,})",
                rotation=0,
                ha="right",
                va="center",
                fontsize=8,
            )
        self.axes_[0, 0].set_title("most certain", fontsize=10)
        self.axes_[0, 1].set_title("least certain", fontsize=10)
        figure.subplots_adjust(
            left=0.09, right=0.99, bottom=0.01, top=0.94, wspace=0.04, hspace=0.06
        )
        return self


class TrainingHistoryDisplay:
    """Every term of the loss, epoch by epoch, with the phases marked.

    Use :meth:`from_estimator`.

    Parameters
    ----------
    history : list of dict
        The `history_` of a fitted model.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel for each term.
    figure_ : matplotlib Figure
    """

    def __init__(self, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, figure=None):
        """Draw the history of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : TrainingHistoryDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        return cls(estimator.history_).plot(figure=figure)

    def plot(self, figure=None):
        """Draw the terms; those that are zero throughout are left out.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : TrainingHistoryDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        terms = [
            term
            for term in TERMS
            if any(record.get(term, 0) for record in self.history)
        ]
        if not terms:
            raise ValueError(
                "There is nothing to draw: no epoch was trained. Fit with fit_epochs "
                "or max_iter above 0."
            )
        if figure is None:
            figure = plt.figure(
                figsize=(6.4, 0.6 + 1.5 * len(terms)), layout="constrained"
            )
        self.figure_ = figure
        self.axes_ = figure.subplots(len(terms), 1, sharex=True, squeeze=False)[:, 0]
        for ax, term in zip(self.axes_, terms, strict=True):
            values = [record.get(term, np.nan) or np.nan for record in self.history]
            ax.semilogy(np.arange(1, len(values) + 1), values, ".-", ms=4, lw=1)
            ax.set_ylabel(TERMS[term], fontsize=9)
            ax.grid(alpha=0.3)
        self._mark_phases()
        self.axes_[-1].set_xlabel("epoch")
        return self

    def _mark_phases(self):
        phases = [(record["phase"], record.get("round")) for record in self.history]
        starts = [
            i for i, phase in enumerate(phases) if i == 0 or phase != phases[i - 1]
        ]
        ends = [*starts[1:], len(phases)]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            name, n_round = phases[start]
            if n_round and phases[-1][1] > 1:
                name = f"{name} {n_round}"
            for ax in self.axes_:
                if number % 2 == 0:
                    ax.axvspan(start + 0.5, end + 0.5, color=GROUND, zorder=0, lw=0)
            self.axes_[0].annotate(
                name,
                ((start + end + 1) / 2, 1.02),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=9,
            )
        self.axes_[0].set_xlim(0.5, len(phases) + 0.5)


class ClusterSizesDisplay:
    """How many samples each cluster has, against the prior.

    Use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    sizes : ndarray of shape (n_clusters,)
        The samples of each cluster.
    prior : ndarray of shape (n_clusters,)
        Expected frequencies.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, sizes, prior):
        self.sizes = sizes
        self.prior = prior

    @classmethod
    def from_estimator(cls, estimator, X=None, *, ax=None):
        """Draw the cluster sizes of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted.
        X : array-like, default=None
            Samples to count; by default those of `fit`.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        labels = estimator.labels_ if X is None else estimator.predict(X)
        return cls.from_predictions(
            labels, prior=estimator.prior, n_clusters=estimator.n_clusters_, ax=ax
        )

    @classmethod
    def from_predictions(cls, labels, *, prior=None, n_clusters=None, ax=None):
        """Draw the sizes of clusters by labels.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Values from 0 to n_clusters - 1.
        prior : array-like of shape (n_clusters,), default=None
            Expected frequencies; by default all alike.
        n_clusters : int, default=None
            By default the largest label and 1.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        labels = column_or_1d(labels)
        if n_clusters is None:
            n_clusters = int(labels.max()) + 1 if prior is None else len(prior)
        sizes = np.bincount(labels, minlength=n_clusters)
        prior = np.full(n_clusters, 1 / n_clusters) if prior is None else prior
        check_consistent_length(sizes, prior)
        return cls(sizes, np.asarray(prior)).plot(ax=ax)

    def plot(self, ax=None):
        """Draw a bar for each cluster and a line where the prior expects its end.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        ax = _new_axes(self, ax)
        numbers = np.arange(len(self.sizes))
        ax.bar(numbers, self.sizes, color="tab:blue", alpha=0.7)
        expected = self.prior * self.sizes.sum()
        ax.hlines(expected, numbers - 0.45, numbers + 0.45, color="black", lw=1.5)
        ax.plot([], [], color="black", lw=1.5, label="prior")
        ax.legend(frameon=False, loc="upper right")
        ax.set_ylim(0, 1.15 * max(self.sizes.max(), expected.max()))
        if len(numbers) <= MAX_LEGEND:
            ax.set_xticks(numbers)
        ax.set(xlabel="cluster", ylabel="samples")
        ax.set_xlim(-0.6, len(numbers) - 0.4)
        return self


class DendrogramDisplay:
    """The last merges of a tree of clusters.

    Use :meth:`from_estimator`.

    Parameters
    ----------
    linkage : ndarray of shape (n_samples - 1, 4)
        As :func:`scipy.cluster.hierarchy.linkage` returns it.
    n_clusters : int
        Where the tree is cut.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, linkage, n_clusters):
        self.linkage = linkage
        self.n_clusters = n_clusters

    @classmethod
    def from_estimator(cls, estimator, *, n_leaves=30, ax=None):
        """Draw the tree of a fitted model.

        Parameters
        ----------
        estimator : PathIntegralClustering
            Fitted.
        n_leaves : int, default=30
            How many clusters are drawn at the bottom.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : DendrogramDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        display = cls(estimator.linkage_matrix(), estimator.n_clusters_)
        return display.plot(n_leaves=n_leaves, ax=ax)

    def plot(self, *, n_leaves=30, ax=None):
        """Draw the tree, with a colour for each cluster and a line at the cut.

        Parameters
        ----------
        n_leaves : int, default=30
            How many clusters are drawn at the bottom.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : DendrogramDisplay
            With what was drawn.
        """
        from scipy.cluster.hierarchy import dendrogram

        ax = _new_axes(self, ax)
        heights = self.linkage[:, 2]
        k = self.n_clusters
        # Between the last merge inside a cluster and the first one between two.
        above = heights[-(k - 1)] if k > 1 else heights[-1] * 1.05
        below = heights[-k] if k <= len(heights) else 0.0
        cut = (above + below) / 2
        dendrogram(
            self.linkage,
            p=max(n_leaves, k),
            truncate_mode="lastp",
            color_threshold=cut,
            above_threshold_color="0.4",
            leaf_font_size=7,
            ax=ax,
        )
        ax.axhline(cut, color="black", lw=0.8, ls="--")
        ax.set(ylabel="log of the fall in affinity", xlabel="samples of each branch")
        ax.tick_params(axis="x", labelrotation=90)
        return self
