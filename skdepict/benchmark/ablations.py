"""DEPICTClustering with one part of it changed or taken away."""

from contextlib import ExitStack
from unittest.mock import patch

import torch

from skdepict import DEPICTClustering
from skdepict._training import loop, start, step


class _Patched(DEPICTClustering):
    """Fits with other values in place of some in the modules of the package."""

    changes: tuple = ()

    def fit(self, X, y=None):
        """Fit with the changes."""
        with ExitStack() as stack:
            for owner, name, value in self.changes:
                stack.enter_context(patch.object(owner, name, value))
            return super().fit(X)


def _sharpened(probabilities, prior, form, mass):
    """Q proportional to p**2, whatever the cluster sizes."""
    return torch.nn.functional.normalize(probabilities.square(), p=1, dim=1)


def _encode_with_gradient(gradients, x):
    return gradients.model.autoencoder.encode(x, lambda layer: layer)


ONE_GRAPH = (start, "WHITENINGS", (0.6,))
PLAIN_CUT = (start, "UNEVEN_HEIGHTS", 0.0)


class OneGraph(_Patched):
    """Takes the labels of one graph, that of `PathIntegralClustering`'s defaults."""

    changes = (ONE_GRAPH, PLAIN_CUT)


class PlainCut(_Patched):
    """Cuts each tree at one height."""

    changes = (PLAIN_CUT,)


class WithoutPrior(_Patched):
    """Sharpens the predictions, from one graph; to be used without early stopping."""

    changes = (ONE_GRAPH, PLAIN_CUT, (loop, "target_distribution", _sharpened))


class WithCleanGradient(_Patched):
    """Lets the reconstruction loss move its own targets, the clean hidden layers."""

    changes = ((step.Gradients, "_encode_clean", _encode_with_gradient),)
