"""DEPICTClustering with one part of it changed or taken away."""

from unittest.mock import patch

import torch

from skdepict import DEPICTClustering, PathIntegralClustering, _trainer
from skdepict.benchmark.data import flatten


class OneGraph(DEPICTClustering):
    """Starts from `PathIntegralClustering` with its defaults, in one round."""

    def fit(self, X, y=None):
        """Fit from the labels of one graph."""
        self.init = PathIntegralClustering(self.n_clusters).fit_predict(flatten(X))
        return super().fit(X)


class WithoutPrior(DEPICTClustering):
    """Sharpens the predictions to p**2, whatever the cluster sizes."""

    def fit(self, X, y=None):
        """Fit with Q proportional to p**2."""
        with patch.object(_trainer, "target_distribution", _sharpened):
            return super().fit(X)


class WithCleanGradient(DEPICTClustering):
    """Lets the reconstruction loss move its own targets, the clean hidden layers."""

    def fit(self, X, y=None):
        """Fit with gradients through the clean pathway."""
        with patch.object(_trainer.Trainer, "_encode_clean", _encode_with_gradient):
            return super().fit(X)


def _sharpened(probabilities, prior, form):
    return torch.nn.functional.normalize(probabilities.square(), p=1, dim=1)


def _encode_with_gradient(trainer, x):
    return trainer.model.autoencoder.encode(x, lambda layer: layer)
