"""What a fitted DEPICTClustering does with samples."""

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skdepict._data.partwise import PartwiseRows
from skdepict._data.rows import VALUES_AT_ONCE, check_rows, float_dtype, parts_of
from skdepict._data.samples import InputFormat, Samples
from skdepict._surroundings import own_surroundings
from skdepict.networks._device import resolve_device
from skdepict.networks._model import (
    ClusteringModel,
    assign_all,
    decode_all,
    embed_all,
    inference_batch,
)
from skdepict.persistence._model_file import save


class PredictionMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Methods of a fitted estimator."""

    device: str | torch.device
    network_: ClusteringModel
    _input_format: InputFormat

    def predict(self, X):
        """Predict the cluster of each sample.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The most probable cluster of each sample.
        """
        return self._of_parts(X, _labels, np.int64)

    def predict_proba(self, X):
        """Predict the probability of each cluster for each sample.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_clusters)
            Rows sum to 1; the largest entry of a row is at its label.
        """
        return self._of_parts(X, assign_all)

    def transform(self, X):
        """Embed samples.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        embedding : ndarray of shape (n_samples, embedding_dim)
            The clean pathway's embedding. The row of a sample does not depend on the
            other samples it is passed with.
        """
        return self._of_parts(X, embed_all)

    def inverse_transform(self, X):
        """Decode embeddings into samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, embedding_dim)
            Embeddings, such as `transform` returns or `cluster_centers_`.

        Returns
        -------
        X_original : ndarray of shape (n_samples, ...)
            Samples in the units and the shape that `fit` saw. The decoder learns to
            reconstruct only where `pretrain_epochs` or `reconstruction_weight` is
            positive.
        """
        check_is_fitted(self)
        embedding = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if embedding.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {embedding.shape[1]} columns, but the embedding of this "
                f"{type(self).__name__} has {self._n_features_out}. Pass what "
                "transform returned."
            )
        device = self._resolve_device()
        with own_surroundings(device):
            decoded = decode_all(
                self.network_.to(device),
                torch.as_tensor(embedding, dtype=torch.float32, device=device),
                self._input_format.layout.n_features,
            )
        return self._input_format.restore(decoded.cpu().numpy()).astype(embedding.dtype)

    def score(self, X, y=None):
        """How sure the model is of where it puts X.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
            Mean log-probability of the samples' clusters: 0 if all are certain, below
            otherwise. Compare it at equal `n_clusters` only.
        """
        return float(self._of_parts(X, _certainty, np.float64).mean())

    def save(self, path):
        """Write the fitted model to one file that :func:`skdepict.load` opens.

        Parameters
        ----------
        path : str or Path
            The file; replaced if it is there.

        See Also
        --------
        skdepict.load : Open it; no code of the file is run, so it may be a stranger's.
        """
        save(self, path)

    def export_onnx(self, path):
        """Write the fitted model as an ONNX file, to predict without Python or torch.

        Its input "samples" is single precision, of the shape (n_samples, ...) of the
        samples in `fit` and in their units. Its outputs are "labels", "probabilities"
        and "embedding": what `predict`, `predict_proba` and `transform` return, to
        single precision, for samples that single precision can hold: centre those whose
        offset is many times their spread before fitting.

        Parameters
        ----------
        path : str or Path
            The file; replaced if it is there.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        ImportError
            If onnx or onnxscript is missing: ``pip install "skdepict[onnx]"``.
        FileNotFoundError
            If the folder of `path` is missing.

        Notes
        -----
        ::

            session = onnxruntime.InferenceSession("model.onnx")
            labels, = session.run(["labels"], {"samples": images.astype("float32")})
        """
        from skdepict.persistence._onnx import export_onnx

        export_onnx(self, path)

    def _of_parts(self, X, function, dtype=None):
        """Check X, and put together what a function makes of parts of the samples.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.
        function : callable
            Takes the model and Samples; returns a tensor with a row for each.
        dtype : dtype, default=None
            Of the result; None for the one that suits X.

        Returns
        -------
        result : ndarray of shape (n_samples, ...)
        """
        check_is_fitted(self)
        device = self._resolve_device()
        with own_surroundings(device):
            return self._of_parts_on(device, X, function, dtype)

    def _of_parts_on(self, device, X, function, dtype):
        rows, _ = check_rows(self, X, self._input_format.sample_shape)
        parts = parts_of(rows, slice(0, len(rows)))
        # Of what is read in parts, the first tells the units.
        parts = parts[:1] if isinstance(rows, PartwiseRows) else parts
        ranges = [
            [end(axis=0) for end in (rows[part].min, rows[part].max)] for part in parts
        ]
        lows, highs = zip(*ranges, strict=True)
        self._input_format.warn_of_other_range(
            np.min(lows, axis=0), np.max(highs, axis=0), len(rows)
        )
        model = self.network_.to(device)
        # What is held at once of samples and results is bounded, in whole batches.
        batch = inference_batch(rows.shape[1])
        assignment = model.assignment
        n_values = max(rows.shape[1], assignment.in_features, assignment.out_features)
        step = max(VALUES_AT_ONCE // n_values // batch * batch, batch)
        result = None
        for start in range(0, len(rows), step):
            share = slice(start, min(start + step, len(rows)))
            samples = Samples(rows, self._input_format, device, share)
            part = function(model, samples).cpu().numpy()
            if result is None:
                shape = (len(rows), *part.shape[1:])
                result = np.empty(shape, dtype or float_dtype(rows))
            result[share] = part
        return result

    def _resolve_device(self):
        return resolve_device(self.device, type(self)._fit_something)

    @property
    def _n_features_out(self):
        return self.network_.assignment.in_features


def _labels(model, samples):
    return assign_all(model, samples).argmax(dim=1)


def _certainty(model, samples):
    return assign_all(model, samples).amax(dim=1).log()
