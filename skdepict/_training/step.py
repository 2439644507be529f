"""One step of gradient descent; `losses` says what a batch teaches the network."""

from contextlib import nullcontext
from time import perf_counter
from typing import NamedTuple

import torch

from skdepict._training.adam import Adam
from skdepict._training.captured import CapturedStep, graphs_for
from skdepict._training.executors import InParts, own_share
from skdepict._training.objectives import clustering_loss
from skdepict._training.settings import MIN_DECODER_STEPS, WARM_UP
from skdepict._training.waits import Waits
from skdepict.networks._base import no_corruption
from skdepict.networks._device import training_precision

# Where the decoder only goes along, this share of one batch of so many is reconstructed
# and counts for all of them: the gradient has the same mean, at a fraction of its time.
# Of tables, whose layers take little, the whole batch.
RECONSTRUCTED_EVERY = 8
RECONSTRUCTED_SHARE = 0.5


class LossWeights(NamedTuple):
    """How much the reconstruction loss counts; KL(Q || P) has the weight 1.

    Attributes
    ----------
    reconstruction : float
        Its weight in the objective; with 0 the decoder is not run.
    in_encoder : bool
        Whether its gradient reaches the encoder.
    share : float
        How much of the batch is reconstructed.
    as_published : bool
        Whether that gradient is all there is, as in the authors' program: that of the
        clean pathway's layers too, and what all samples of a batch want alike; and in
        single precision.
    """

    reconstruction: float
    in_encoder: bool = True
    share: float = 1.0
    as_published: bool = False

    def of_own(self, is_own):
        """Those of a process, for its samples of a batch whose first ones are decoded.

        Parameters
        ----------
        is_own : tensor of bool, of shape (batch_size,)
            Which samples of the batch these are; at least one.

        Returns
        -------
        weights : LossWeights
        """
        n_decoded = self.n_decoded(len(is_own))
        n_own, n_own_decoded = int(is_own.sum()), int(is_own[:n_decoded].sum())
        weight = self.reconstruction * n_own_decoded * len(is_own) / (n_own * n_decoded)
        return self._replace(reconstruction=weight, share=n_own_decoded / n_own)

    def n_decoded(self, batch_size):
        """How many samples of a batch are reconstructed."""
        return max(round(self.share * batch_size), 1)


def loss_weights(settings, phase, number, n_steps):
    """What the reconstruction loss weighs in a step of a phase.

    Parameters
    ----------
    settings : Settings
    phase : str
    number, n_steps : int
        Which step it is, from 0, and how many there are.

    Returns
    -------
    weights : LossWeights
    """
    if settings.as_published:
        weight = 1.0 if phase == "pretrain" else settings.reconstruction_weight
        return LossWeights(weight, as_published=True)
    if phase == "pretrain":
        # Until the decoder knows what all samples have in common, it would be the
        # embedding that learns it.
        n_of_decoder = max(WARM_UP * n_steps, MIN_DECODER_STEPS)
        return LossWeights(1.0, in_encoder=number >= n_of_decoder)
    weight = RECONSTRUCTED_EVERY * settings.reconstruction_weight
    if weight == 0 or number % RECONSTRUCTED_EVERY:
        return LossWeights(0.0)
    share = 1.0 if settings.is_table else RECONSTRUCTED_SHARE
    return LossWeights(weight, phase == "joint", share)


def losses(model, x, targets, weights, noise):
    """The two terms of the objective on a batch (Dizaji et al. 2017, section 3).

    The noisy pathway predicts the target distribution Q, and the decoder reconstructs
    from the noisy embedding what the clean pathway has in its layers.

    Parameters
    ----------
    model : ClusteringModel
    x : tensor of shape (batch_size, ...)
        Scaled samples.
    targets : tensor of shape (batch_size, n_clusters), callable or None
        Q; or what makes Q of the clean pathway's prediction P, for networks that want
        it within each batch; or None for no clustering yet.
    weights : LossWeights
    noise : Noise

    Returns
    -------
    reconstruction, clustering : scalar tensor
        The weighted reconstruction loss and KL(Q || P), means over the batch, or a
        random part of it.
    """
    network, softmax_layer = model.autoencoder, model.assignment
    reconstruction = clustering = x.new_zeros(())
    needs_clean = bool(weights.reconstruction) or callable(targets)
    n_decoded = weights.n_decoded(len(x))
    n_clean = len(x) if callable(targets) else n_decoded
    # A network may change its input in place. So each pathway has a copy, and x stays
    # what the decoder has to reconstruct.
    noisy_x = noise.distort(x)
    if needs_clean and noisy_x is x:
        noisy_x = x.clone()
    precision = training_precision(x.device, of_rows=x.ndim == 2)
    with nullcontext() if weights.as_published else precision:
        noisy = network.encode(noisy_x, noise.drop)
        logits = softmax_layer(noisy[-1])
        if weights.reconstruction:
            embedding = noisy[-1][:n_decoded]
            if not weights.in_encoder:
                embedding = embedding.detach()
            if not weights.as_published:
                embedding = _without_mean_gradient(embedding)
            decoded = network.decode(embedding)
        if needs_clean:
            with torch.set_grad_enabled(weights.as_published):
                clean = network.encode(x[:n_clean].clone(), no_corruption)
            clean_logits = softmax_layer(clean[-1]).detach()
    if weights.reconstruction:
        reconstruction = weights.reconstruction * network.reconstruction_loss(
            [layer.float() for layer in decoded],
            [x[:n_decoded]] + [layer[:n_decoded].float() for layer in clean[:-1]],
        )
    if callable(targets):
        targets = targets(clean_logits.float().softmax(dim=1))
    if targets is not None:
        clustering = clustering_loss(targets, logits.float().log_softmax(dim=1))
    return reconstruction, clustering


def _without_mean_gradient(embedding):
    """Pass on the embedding, but of its gradient only what differs between samples.

    What all samples of a batch want alike is for the decoder's biases to learn. An
    embedding of many inputs learns it faster, by Adam's equal steps for all weights,
    and runs into the ends of its tanh: all samples come to lie at one point.
    """
    passed = embedding.view_as(embedding)
    if passed.requires_grad:
        passed.register_hook(lambda gradient: gradient - gradient.mean(dim=0))
    return passed


class GradientDescent:
    """Takes steps of gradient descent on batches of all samples.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples
        All of them, or this process's share, on the device of the model.
    settings : Settings
    processes : Processes
        Those that train the model together.
    noise : Noise
        Another one in each process.

    Attributes
    ----------
    waits : Waits
        A context that steps are taken in.
    """

    def __init__(self, model, samples, settings, processes, noise):
        self._model, self._samples = model, samples
        self._settings, self._processes, self._noise = settings, processes, noise
        self._share = processes.share(settings.n_samples)
        self._in_parts = InParts()
        self.waits = Waits(samples.device, n_timed=RECONSTRUCTED_EVERY)
        # A module of the user's own may do something else each time.
        same_each_time = not settings.own_network and samples.on_device
        self._graphs = None
        if same_each_time and processes.size == 1:
            self._graphs = graphs_for(noise.generator)

    def new_optimizer(self):
        """Adam for all weights, with a learning rate that can be set at each step."""
        peak = self._settings.learning_rate
        if self._graphs is not None:
            # A graph reads it where it is.
            device = self._samples.device
            peak = torch.tensor(peak, dtype=torch.float32, device=device)
        return Adam(self._model.parameters(), peak)

    def steps(self, optimizer, average=None, targets=None, members=None):
        """The function that takes one step of a phase.

        Parameters
        ----------
        optimizer : Adam
        average : WeightAverage, default=None
            Updated after each step.
        targets : tensor of shape (n_members, n_clusters), callable or None
            As for `losses`; a tensor without members has rows for this process's share.
        members : tensor of shape (n_members,), default=None
            Which samples batches count; None for all.

        Returns
        -------
        step : callable
            Takes a batch, a tensor of shape (batch_size,) with numbers of the members
            or samples of all processes, and `LossWeights`. Returns this process's terms
            of the loss, a tensor of shape (2,), summed over the samples.
        """

        def step(index, weights):
            start = perf_counter()

            def gradients(parts):
                optimizer.zero_grad()
                return sum(
                    self._add_gradients(part, len(index), targets, members, weights)
                    for part in parts
                )

            terms = self._in_parts(gradients, index)
            self._processes.sum_gradients(self._model.parameters())
            optimizer.step()
            if average is not None:
                average.update()
            self.waits.heed(perf_counter() - start)
            return terms

        return step if self._graphs is None else CapturedStep(step, self._graphs)

    def _add_gradients(self, index, batch_size, targets, members, weights):
        """Add the gradients of this process's samples of a part of a batch."""
        chosen = index if members is None else members[index]
        if self._processes.size > 1:
            chosen, is_own = own_share(chosen, self._share)
            index = chosen if members is None else index[is_own]
            if len(chosen) == 0:
                return torch.zeros(2, device=self._samples.device)
            if weights.reconstruction:
                weights = weights.of_own(is_own)
        of_part = targets[index] if isinstance(targets, torch.Tensor) else targets
        x = self._samples.batch(chosen)
        terms = losses(self._model, x, of_part, weights, self._noise)
        (sum(terms) * (len(chosen) / batch_size)).backward()
        return len(chosen) * torch.stack(terms).detach()
