"""The losses of a fit."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from skdepict.plotting._axes import fitted_model, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


TERMS = {
    "reconstruction": "reconstruction loss",
    "clustering": "KL(Q || P)",
    "prior_divergence": "KL(f || u)",
    "target_change": "change of Q",
    "held_out": "of held-out samples",
}


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

    def __init__(self, history: list[dict[str, Any]]) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, figure: Figure | None = None
    ) -> Self:
        """Draw the history of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted; or a pipeline that ends in one, or a search for one.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : TrainingHistoryDisplay
            With what was drawn.
        """
        model, _ = fitted_model(cls, estimator)
        return cls(model.history_).plot(figure=figure)

    def plot(self, figure: Figure | None = None) -> Self:
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
        terms = [t for t in TERMS if any(epoch.get(t) for epoch in self.history)]
        if not terms:
            raise ValueError(
                "There is nothing to draw: no epoch was trained. Fit with fit_epochs "
                "or max_iter above 0."
            )
        size = (6.4, 0.6 + 1.5 * len(terms))
        figure = new_figure(self, figure, figsize=size, layout="constrained")
        self.axes_ = figure.subplots(len(terms), 1, sharex=True, squeeze=False)[:, 0]
        for ax, term in zip(self.axes_, terms, strict=True):
            values = [record.get(term, np.nan) or np.nan for record in self.history]
            ax.semilogy(np.arange(1, len(values) + 1), values, ".-", ms=4, lw=1)
            ax.set_ylabel(TERMS[term], fontsize=9)
            ax.grid(alpha=0.3)
        self._mark_phases()
        self.axes_[-1].set_xlabel("epoch")
        return self

    def _mark_phases(self) -> None:
        phases = [(record["phase"], record.get("round", 0)) for record in self.history]
        several_rounds = phases[-1][1] > 1
        start = 0
        for number, ((name, n_round), epochs) in enumerate(groupby(phases)):
            end = start + len(list(epochs))
            if n_round and several_rounds:
                name = f"{name} {n_round}"
            if number % 2 == 0:
                for ax in self.axes_:
                    ax.axvspan(start + 0.5, end + 0.5, color="0.92", zorder=0, lw=0)
            self.axes_[0].annotate(
                name,
                ((start + end + 1) / 2, 1.02),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=9,
            )
            start = end
        self.axes_[0].set_xlim(0.5, len(phases) + 0.5)
