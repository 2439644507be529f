"""Fitted models for other runtimes."""

import copy
import logging
import warnings
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skdepict._data.reduction import average_areas, rounded
from skdepict.persistence._files import replaced

OUTPUTS = ("labels", "probabilities", "embedding")


class ServedModel(nn.Module):
    """From samples in the user's shape and units to labels.

    Parameters
    ----------
    network : ClusteringModel
    input_format : InputFormat
    """

    def __init__(self, network, input_format):
        super().__init__()
        self.network = network
        self.input_format, self.layout = input_format, input_format.layout
        scaling = input_format.scaling
        shift = np.asarray(scaling.shift, dtype=np.float64)
        if shift.ndim:
            shift = shift.reshape(input_format.sample_shape)
        self.register_buffer("shift", torch.as_tensor(shift))
        self.scale = float(scaling.scale)
        ends = float(np.min(scaling.low)), float(np.max(scaling.high))
        self.ends = ends if scaling.clips else None

    def forward(self, samples):
        """Scale, embed and assign samples of shape (n_samples, *sample_shape)."""
        # In double precision, as in `Scaling.apply`, from where the input is single.
        samples = samples.double()
        if self.ends is not None:
            samples = samples.clamp(*self.ends)
        input_format = self.input_format
        if input_format.rounds:
            reduced = rounded(self._reduced(samples))
            scaled = ((reduced.double() - self.shift) / self.scale).float()
        else:
            scaled = self._reduced(((samples - self.shift) / self.scale).float())
        embedding = self.network.embed(scaled.reshape(-1, *input_format.network_shape))
        logits = self.network.assignment(embedding)
        return logits.argmax(dim=1), logits.softmax(dim=1), embedding

    def _reduced(self, samples):
        """Samples in the layout of the network, and in its size."""
        shape = self.layout.shape
        if self.layout.channels_last:
            samples = samples.reshape(-1, *shape[1:], shape[0]).movedim(-1, 1)
        if not self.input_format.reduces:
            return samples
        images = samples.reshape(-1, *shape)
        return average_areas(images, self.input_format.network_shape[1:])


def export_onnx(model, path):
    """Write a fitted model as an ONNX file; see `DEPICTClustering.export_onnx`."""
    check_is_fitted(model)
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'export_onnx needs onnx and onnxscript: pip install "skdepict[onnx]".'
        ) from error
    network = copy.deepcopy(model.network_).cpu()
    served = ServedModel(network, model._input_format).eval()
    # Any number of samples but 0 and 1, which the exporter takes for constants.
    example = torch.zeros((2, *model._input_format.sample_shape), dtype=torch.float32)
    with replaced(path) as temporary, _quiet(), torch.no_grad():
        torch.onnx.export(
            served,
            (example,),
            temporary,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=["samples"],
            output_names=list(OUTPUTS),
            dynamic_shapes={"samples": {0: torch.export.Dim("n_samples")}},
        )


@contextmanager
def _quiet():
    """The exporter speaks of itself, and of packages that it does without."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
