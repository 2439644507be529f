"""Samples that phases do not learn from, and that say when these are to end.

The authors' program holds out a tenth, too; see `DEPICTClustering.as_published`.
"""

import numpy as np
import torch
from sklearn.metrics import mutual_info_score

from skdepict._training.executors import own_share
from skdepict._training.streams import stream_seed
from skdepict.networks._base import no_corruption
from skdepict.networks._inference import assign, inference_batch

# One sample of so many is held out, and a phase ends after so many epochs without a
# better value for these.
ONE_OF = 10
PATIENCE = {"pretrain": 100, "initialise": 5}


class HeldOut:
    """A random part of the samples that get starting labels.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples
        All of them, or this process's share.
    settings : Settings
        None are held out unless `as_published`.
    processes : Processes

    Attributes
    ----------
    taught : ndarray of shape (n_taught,) or None
        Of the samples that get starting labels, those that are learned; None for all.
    others : tensor of shape (n_samples - n_held_out,) or None
        Of all samples those that are not held out; None for all.
    """

    def __init__(self, model, samples, settings, processes):
        self._model, self._samples, self._processes = model, samples, processes
        self.taught = self.others = None
        n_held_out = settings.n_labelled // ONE_OF if settings.as_published else 0
        if n_held_out == 0:
            return
        generator = np.random.default_rng(stream_seed(settings.seed, "held out"))
        order = generator.permutation(settings.n_labelled)
        places, self.taught = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
        numbers = np.arange(settings.n_samples)
        held_out = places if settings.members is None else settings.members[places]
        others = np.delete(numbers, held_out)
        self.others = torch.from_numpy(others).to(samples.device)
        share = processes.share(settings.n_samples)
        self._own, is_own = own_share(torch.from_numpy(held_out), share)
        self._places = places[is_own.numpy()]

    def judge(self, record, progress):
        """Say how well held-out samples do after an epoch, and end a phase in time.

        Parameters
        ----------
        record : dict
            What the history will say of the epoch; "held_out" is added, the lower, the
            better.
        progress : Progress
        """
        if self.others is None:
            return
        if progress.phase == "pretrain":
            value = self._clean_loss()
        else:
            value = 1.0 - self._agreement(progress.labels)
        record["held_out"] = value
        progress.keep_if_lowest(value)
        phase = record["phase"], record["round"]
        values = [
            earlier["held_out"]
            for earlier in progress.history
            if (earlier["phase"], earlier["round"]) == phase
        ]
        n_worse = len(values) - int(np.argmin([*values, value]))
        progress.phase_ends = n_worse >= PATIENCE[progress.phase]

    @torch.inference_mode()
    def _clean_loss(self):
        """The reconstruction loss without noise, the mean over the samples."""
        network = self._model.autoencoder
        total = torch.zeros(2, dtype=torch.float64)
        for x, _ in self._batches():
            clean = network.encode(x.clone(), no_corruption)
            decoded = network.decode(clean[-1])
            loss = network.reconstruction_loss(decoded, [x, *clean[:-1]])
            total += torch.tensor([len(x) * loss.item(), len(x)], dtype=torch.float64)
        loss, n_samples = self._processes.sum(total).tolist()
        return loss / n_samples

    @torch.inference_mode()
    def _agreement(self, labels):
        """The NMI of the clusters without noise with the starting labels."""
        n_clusters = self._model.assignment.out_features
        table = torch.zeros(n_clusters, n_clusters, dtype=torch.float64)
        for x, places in self._batches():
            embedding = self._model.autoencoder.encode(x, no_corruption)[-1]
            found = assign(self._model, embedding).argmax(dim=1).cpu().numpy()
            np.add.at(table.numpy(), (labels[places], found), 1.0)
        table = self._processes.sum(table).numpy()
        of_labels, of_clusters = np.diag(table.sum(axis=1)), np.diag(table.sum(axis=0))
        entropy = (_information(of_labels) + _information(of_clusters)) / 2
        return _information(table) / entropy if entropy > 0 else 1.0

    def _batches(self):
        """The held-out samples of this process, and their places among the labels."""
        self._model.eval()
        size = inference_batch(self._samples.n_features, self._samples.device)
        for start in range(0, len(self._own), size):
            part = slice(start, start + size)
            x = self._samples.batch(self._own[part].to(self._samples.device))
            yield x, self._places[part]


def _information(table):
    return mutual_info_score(None, None, contingency=table)
