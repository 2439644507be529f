"""Rounds, and the end of the joint phase."""

import dataclasses
import math
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import (
    load_breast_cancer,
    load_iris,
    make_blobs,
    make_circles,
    make_moons,
)
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skdepict import DEPICTClustering, PathIntegralClustering
from skdepict._training import judge, loop
from skdepict._training import settings as settings_module
from skdepict._training.adam import Adam
from skdepict._training.average import WeightAverage
from skdepict._training.graphs import merged_graphs, number_that_all_tell
from skdepict._training.number import number_before_fall
from skdepict.metrics import clustering_accuracy
from skdepict.networks import _device
from tests.conftest import images_apart, load_real, quick, settings_of
from tests.training.test_step import InPlace

# From which 300 digits are so far that there might be better labels.
FAR = np.arange(1, 11) / 55
EVEN = np.full(10, 0.1)


def offer(monkeypatch, labels, divergence):
    """Have the graph of the embedding give these labels, and count how often.

    Clusters are looked for at once, as in too few samples for groups.
    """
    asked = []
    monkeypatch.setattr(settings_module, "n_fine_groups", lambda *_: 0)

    def path_integral_labels(points, prior, device):
        asked.append(points.shape)
        return labels, divergence

    monkeypatch.setattr(judge, "path_integral_labels", path_integral_labels)
    return asked


def test_labels_nearer_to_the_prior_start_another_round(monkeypatch, few_digits):
    images, y = few_digits
    asked = offer(monkeypatch, y, 0.0)
    model = quick(10, prior=FAR, max_rounds=2).fit(images)
    assert (model.n_rounds_, model.n_iter_, len(asked)) == (2, 4, 1)
    assert asked[0] == model.embedding_.shape
    assert [record["round"] for record in model.history_] == [1] * 22 + [2] * 22
    phases = [record["phase"] for record in model.history_]
    assert phases == (["initialise"] * 20 + ["joint"] * 2) * 2
    # The second round has learned what it was given.
    assert clustering_accuracy(y, model.labels_) > 0.9


def test_no_other_round_where_there_is_no_reason_for_it(monkeypatch, few_digits):
    images, y = few_digits
    asked = offer(monkeypatch, y, 10.0)
    assert quick(10, prior=FAR).fit(images).n_rounds_ == 1
    assert len(asked) == 1
    assert quick(10, prior=FAR, max_rounds=1).fit(images).n_rounds_ == 1
    assert quick(10, prior=FAR, init=y).fit(images).n_rounds_ == 1
    assert quick(10, prior=FAR, init="kmeans").fit(images).n_rounds_ == 1
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("given", "initialise", "joint"),
    [
        # 100 images are four batches. 800 steps teach them labels, half of these those
        # of groups that are yet to be joined, and a quarter those of joined ones.
        ({"max_iter": 2}, (100, 50), (2, 2)),
        # At most 1280 steps, or half of these.
        ({"fit_epochs": 8}, (8, 8), (320, 160)),
    ],
)
def test_later_rounds_take_fewer_epochs(given, initialise, joint, few_digits):
    model = DEPICTClustering(5, random_state=0, **given).fit(few_digits[0][:100])
    assert model.n_rounds_ == 2
    epochs = [(record["phase"], record["round"]) for record in model.history_]
    for index in (0, 1):
        assert epochs.count(("initialise", index + 1)) == initialise[index]
        assert 0 < epochs.count(("joint", index + 1)) <= joint[index]


def test_large_data_have_no_epochs_to_spare():
    """As many for fine groups as without joins, and 12 and 20 in later rounds."""
    settings = settings_of(10_000, 10)
    fine = SimpleNamespace(
        phase="initialise", final=False, apart=False, prior=np.full(60, 1 / 60)
    )
    assert settings.n_epochs(fine) == math.ceil(25 * 60 / 40)
    fine.phase = "joint"
    assert settings.n_epochs(fine) == math.ceil(1280 / 40)
    for phase, least in (("initialise", 12), ("joint", 20)):
        later = SimpleNamespace(
            phase=phase, final=True, apart=False, round=2, prior=np.full(10, 0.1)
        )
        assert settings.n_epochs(later) == least
        first = SimpleNamespace(**vars(later) | {"round": 1})
        assert settings.n_epochs(first) > least
        # Labels that lie apart are learned longer, in any round, and kept.
        apart = SimpleNamespace(**vars(later) | {"apart": True})
        share = {"initialise": 2, "joint": 0}[phase]
        assert settings.n_epochs(apart) == share * settings.n_epochs(first)


def test_fine_groups_of_small_data_take_fewer_epochs():
    """Half of those of their labels, and 0.6 of those of the joint phase."""
    settings = settings_of(1600, 10)
    fine = SimpleNamespace(final=False, apart=False, prior=np.full(60, 1 / 60))
    for phase, share, most in (("initialise", 0.5, 25 * 60), ("joint", 0.6, 1280)):
        n_epochs = settings.n_epochs(SimpleNamespace(phase=phase, **vars(fine)))
        assert n_epochs == math.ceil(share * math.ceil(most / 16))


@pytest.mark.parametrize(
    ("n_samples", "given", "batch_size", "growth"),
    [
        (100, {}, 32, 1),
        (1600, {}, 200, 2),
        (1600, {"batch_size": 100}, 100, 1),
        (3072, {}, 256, 256 / 192),
        (10_000, {}, 256, 1),
        (10_000, {"batch_size": 1000}, 1000, 1000 / 625),
    ],
)
def test_larger_batches_of_small_data_take_fewer_steps(
    n_samples, given, batch_size, growth
):
    settings = settings_of(n_samples, 10, **given)
    assert settings.batch_size == batch_size
    assert settings.learning_rate == pytest.approx(6e-3 * math.sqrt(growth))
    assert settings.average_decay == pytest.approx(0.99**growth)
    given_rate = settings_of(n_samples, 10, learning_rate=1e-3, **given)
    assert given_rate.learning_rate == 1e-3
    first = SimpleNamespace(final=True, apart=False, round=1, prior=np.full(10, 0.1))
    for phase, least, epochs in (("initialise", 800, 12), ("joint", 1280, 20)):
        n_epochs = settings.n_epochs(SimpleNamespace(phase=phase, **vars(first)))
        n_steps = n_epochs * math.ceil(n_samples / batch_size)
        # An epoch may have a batch more than its share, and is taken as a whole.
        assert n_epochs == epochs or n_steps == pytest.approx(least / growth, rel=0.07)


@pytest.mark.parametrize("max_iter", [None, 1])
def test_labels_of_images_that_lie_apart_are_kept(max_iter):
    X, y = images_apart([60, 20, 10])
    model = DEPICTClustering(3, random_state=0, max_iter=max_iter).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1.0
    assert (model.n_rounds_, model.n_iter_) == (1, max_iter or 0)


def test_many_small_groups_of_images_are_counted_where_they_lie_apart():
    X, y = images_apart(np.geomspace(40, 5, 40).round().astype(int))
    model = DEPICTClustering("auto", random_state=0).fit(X)
    # Neighbours of so few images are of other kinds, too, and told of 22.
    assert 36 <= model.n_clusters_ <= 42
    assert adjusted_rand_score(y, model.labels_) > 0.97


@pytest.mark.parametrize(
    "made",
    [
        partial(make_moons, 300, noise=0.05),
        partial(make_moons, 1200, noise=0.1),
        partial(make_circles, 300, factor=0.5, noise=0.05),
    ],
)
def test_curved_clusters_of_rows_that_lie_apart_are_kept(made):
    """The network learns them; of two columns it would join fine groups wrongly."""
    X, y = made(random_state=0)
    model = DEPICTClustering(2, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.98
    assert (model.n_rounds_, model.n_iter_) == (1, 0)
    # Those that touch are joined of groups.
    X, _ = make_blobs(300, centers=2, cluster_std=4, random_state=0)
    assert quick(2, prior=None).fit(X).n_rounds_ == 2


@pytest.mark.parametrize(
    "made",
    [
        partial(make_moons, 500, noise=0.05),
        # 50 parts of these would be of equal size.
        partial(make_moons, 500, noise=0.01),
        partial(make_circles, 300, factor=0.5, noise=0.05),
    ],
)
def test_curved_clusters_of_rows_that_lie_apart_are_counted(made):
    X, y = made(random_state=0)
    model = DEPICTClustering("auto", random_state=0).fit(X)
    np.testing.assert_array_equal(np.bincount(model.labels_), np.bincount(y))
    assert adjusted_rand_score(y, model.labels_) == 1.0
    assert len(model.linkage_) >= 1


def test_a_cluster_that_falls_into_two_is_told_from_a_curve():
    """All trees say two clusters: two of the three touch."""
    X, y = make_blobs(500, random_state=30)
    graphs = merged_graphs(StandardScaler().fit_transform(X), torch.device("cpu"))
    assert number_that_all_tell(graphs) == 2
    model = DEPICTClustering("auto", random_state=0).fit(X)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(y, model.labels_) > 0.9


@pytest.mark.parametrize(("n_samples", "n_groups"), [(30, 3), (40, 3), (100, 5)])
def test_small_groups_that_lie_apart_are_counted(n_samples, n_groups):
    """Most of 15 neighbours would be of other groups, or the odds of two be small."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_groups
    X = 0.1 * rng.normal(size=(n_samples, 64)) + rng.normal(size=(n_groups, 64))[y]
    model = DEPICTClustering("auto", random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1.0


@pytest.mark.parametrize(("n_kinds", "seed"), [(4, 0), (6, 2), (20, 1)])
def test_kinds_of_rows_that_lie_apart_are_counted(n_kinds, seed):
    """To a network that knows few rows, two of the kinds may be one."""
    kinds = np.random.default_rng(seed).normal(size=(n_kinds, 6)) * 9
    model = DEPICTClustering("auto", random_state=seed).fit(kinds.repeat(50, axis=0))
    assert np.array_equal(np.bincount(model.labels_), np.full(n_kinds, 50))


def test_the_number_of_rows_is_where_the_least_distinct_become_one():
    """Two kinds of tissue; each part of either is distinct, too, but less."""
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    model = DEPICTClustering("auto", random_state=0).fit(X)
    assert model.n_clusters_ == 2
    evidence = model.number_evidence_
    assert number_before_fall(np.column_stack(list(evidence.values()))) == 2


@pytest.mark.parametrize("sizes", [[60, 30, 10], [250, 100, 50]])
def test_a_number_that_nobody_knows_takes_two_rounds_at_least(sizes):
    model = quick("auto", prior=None, max_rounds=1).fit(images_apart(sizes)[0])
    assert (model.n_rounds_, model.n_clusters_) == (2, 3)


def test_training_does_not_spoil_labels_of_groups_that_overlap():
    # Two species of iris overlap: the larger of two clusters would take in the other.
    X = load_iris().data
    model = DEPICTClustering(3, random_state=1).fit(X)
    start = PathIntegralClustering(3).fit_predict(X)
    assert adjusted_rand_score(start, model.labels_) > 0.8
    assert np.bincount(model.labels_).min() > 30


def test_more_clusters_than_groups_are_looked_for_among_finer_ones(many_blobs):
    X, y = many_blobs
    model = quick("auto").fit(X)
    assert model.n_rounds_ == 3
    assert len(model.linkage_) + 1 > 60
    assert 32 < model.n_clusters_ < 45
    assert adjusted_rand_score(y, model.labels_) > 0.85
    # Without a round for it, trees still tell the number.
    model.set_params(max_rounds=2).fit(X)
    assert model.n_rounds_ == 2
    assert 32 < model.n_clusters_ < 45
    # A number that is told needs no search, and clusters that lie apart no joins.
    assert quick(40, prior=None).fit(X).n_rounds_ == 1


@pytest.mark.parametrize(("n_held", "is_searched"), [(30, False), (29, True)])
def test_groups_that_hold_no_samples_do_not_count_as_joined(n_held, is_searched):
    """29 clusters of 29 groups that hold samples: there may be more."""
    settings = settings_of(3000, 10, distortion=False)
    settings = dataclasses.replace(settings, n_clusters=None)
    joined = SimpleNamespace(numbers=np.zeros((n_held - 1, 4)))
    progress = SimpleNamespace(
        round=1, n_clusters=29, prior=np.full(30, 1 / 30), joined=joined
    )
    found = settings.with_finer_groups(progress, are_apart=False)
    assert (found is not None) == is_searched


def test_a_round_that_leads_away_from_the_prior_is_undone(monkeypatch, few_digits):
    images, _ = few_digits
    expected = quick(10, prior=FAR, max_rounds=1).fit(images)
    offer(monkeypatch, np.arange(300) // 200, 0.0)
    model = quick(10, prior=FAR).fit(images)
    assert (model.n_rounds_, model.best_round_) == (2, 1)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)


def drift(monkeypatch, divergences):
    """Have KL(f || u) take these values, the first before the first epoch."""
    values = iter(divergences)
    monkeypatch.setattr(
        loop, "prior_divergence", lambda *args: torch.tensor(next(values))
    )


def test_joint_phase_ends_at_drifting_sizes_and_goes_back(monkeypatch, few_digits):
    images, y = few_digits
    watch = Watch(images)
    # Chance is 9 / 600: 1.4 * 0.08 + 0.015 / 4 = 0.1158.
    drift(monkeypatch, [0.10, 0.09, 0.08, 0.115, 0.1155, 0.13, 0.2])
    model = quick(10, init=y, max_iter=6, tol=0.0).set_callbacks(watch).fit(images)
    assert model.n_iter_ == 5
    assert not model.converged_
    of_joint = watch.weights[-5:]
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, of_joint[1][name])
    assert not torch.equal(
        of_joint[3]["assignment.weight"], of_joint[1]["assignment.weight"]
    )


def test_joint_phase_as_published_takes_no_notice_of_sizes(monkeypatch, few_digits):
    images, y = few_digits
    watch = Watch(images)
    drift(monkeypatch, [0.1, 0.2, 0.4, 0.8])
    model = quick(10, init=y, max_iter=3, algorithm="program")
    model.set_callbacks(watch).fit(images)
    assert model.n_iter_ == 3
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, watch.weights[-1][name])


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_targets_come_from_an_average_of_the_weights(decay, monkeypatch, few_digits):
    """Against the recursion written out, on the weights after each step."""
    images, y = few_digits
    steps, watch = [], Watch(images)
    original = Adam.step

    def step(optimizer):
        parameters = optimizer.parameters
        if not steps:
            steps.append([p.detach().clone() for p in parameters])
        original(optimizer)
        steps.append([p.detach().clone() for p in parameters])

    monkeypatch.setattr(Adam, "step", step)
    # Sizes that drift would bring an earlier average back.
    settings = {"average_decay": decay, "early_stopping": False}
    # Where graphs are replayed, no step could be seen.
    settings["device"] = "cpu"
    model = quick(10, init=y, fit_epochs=0, max_iter=2, **settings)
    model.set_callbacks(watch).fit(images)
    average, *steps = steps
    n_batches = len(steps) // 2
    for epoch in range(2):
        for current in steps[epoch * n_batches : (epoch + 1) * n_batches]:
            average = [
                decay * mean + (1 - decay) * value
                for mean, value in zip(average, current, strict=True)
            ]
        found = watch.weights[epoch].values()
        for mean, value in zip(average, found, strict=True):
            torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-6)


class Remembering(nn.Module):
    """A module that keeps a result of its last forward pass, so cannot be copied."""

    def __init__(self):
        super().__init__()
        self.down = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 8))
        self.norm = nn.BatchNorm1d(8)
        self.up = nn.Linear(8, 64)

    def encode(self, x, corrupt):
        self.last = torch.tanh(self.norm(self.down(corrupt(x))))
        return [self.last]

    def decode(self, embedding):
        return [self.up(embedding)]


def test_modules_that_cannot_be_copied_once_used_can_be_trained(few_digits):
    images, y = few_digits
    rows = images.reshape(300, -1)
    model = quick(10, network=Remembering(), init=y).fit(rows)
    np.testing.assert_array_equal(model.predict(rows), model.labels_)


def test_statistics_of_batches_are_averaged_like_weights():
    module = nn.BatchNorm1d(3)
    average = WeightAverage(module, 0.5)
    module.running_mean.fill_(4.0)
    average.update()
    with average.applied():
        assert torch.equal(module.running_mean, torch.full((3,), 2.0))
        assert torch.equal(module.weight, torch.ones(3))
    assert torch.equal(module.running_mean, torch.full((3,), 4.0))
    earlier = average.copy()
    average.update()
    average.restore(earlier)
    average.apply()
    assert torch.equal(module.running_mean, torch.full((3,), 2.0))


class Watch:
    """A callback that keeps the labels that a stop would give, and may stop."""

    def __init__(self, images, stop_at=None):
        self.images, self.stop_at, self.n_epochs = images, stop_at, 0
        self.labels, self.weights = [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "epoch":
            return False
        self.n_epochs += 1
        model = fitted_estimator.network_
        self.weights.append(model.state_dict())
        x = torch.from_numpy(self.images).float()[:, None] / 8 - 1
        x = x.to(model.assignment.weight.device)
        with torch.no_grad():
            labels = model.assignment(model.embed(x)).argmax(dim=1)
        self.labels.append(labels.numpy(force=True))
        return self.n_epochs == self.stop_at


def test_callbacks_see_the_model_that_would_be_returned(few_digits):
    images, y = few_digits
    watch = Watch(images)
    model = quick(10, init=y, average_decay=0.9).set_callbacks(watch).fit(images)
    np.testing.assert_array_equal(watch.labels[-1], model.labels_)


def test_a_callback_that_stops_the_joint_phase_ends_the_rounds(monkeypatch, few_digits):
    images, y = few_digits
    offer(monkeypatch, y, 0.0)
    model = quick(10, prior=FAR).set_callbacks(Watch(images, stop_at=21)).fit(images)
    assert (model.n_rounds_, model.n_iter_) == (1, 1)


class InterruptIn(Watch):
    """Ctrl-C in this epoch of the fit, counted from 1."""

    def __init__(self, number):
        self.n_left = number

    def on_fit_task_begin(self, estimator, context):
        self.n_left -= context.task_name == "epoch"
        if self.n_left == 0:
            raise KeyboardInterrupt

    def on_fit_task_end(self, estimator, context):
        return False


@pytest.mark.parametrize("number", [24, 43])
def test_an_interrupted_round_does_not_replace_a_whole_one(
    number, monkeypatch, few_digits
):
    images, y = few_digits
    expected = quick(10, prior=FAR, max_rounds=1).fit(images)
    offer(monkeypatch, y, 0.0)
    model = quick(10, prior=FAR).set_callbacks(InterruptIn(number))
    with pytest.raises(KeyboardInterrupt, match="interrupted"):
        model.fit(images)
    assert (model.n_rounds_, model.best_round_) == (2, 1)
    assert not model.converged_
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)


def test_an_interrupt_between_rounds_keeps_the_first(monkeypatch, few_digits):
    images, _ = few_digits
    expected = quick(10, prior=FAR, max_rounds=1, tol=1.0).fit(images)
    assert expected.converged_

    def path_integral_labels(points, prior, device):
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "path_integral_labels", path_integral_labels)
    monkeypatch.setattr(settings_module, "n_fine_groups", lambda *_: 0)
    model = quick(10, prior=FAR, tol=1.0)
    with pytest.raises(KeyboardInterrupt, match="interrupted"):
        model.fit(images)
    assert not model.converged_
    np.testing.assert_array_equal(model.labels_, expected.labels_)


@pytest.mark.parametrize(("n_epochs", "share"), [(2, 0.8), (10, 0.4)])
def test_pretraining_does_not_collapse(n_epochs, share):
    """On large images most of which is background, at the default learning rate."""
    images, _ = load_real("mnist_full")
    images = images[-1500:]
    model = quick(10, init="kmeans", pretrain_epochs=n_epochs, fit_epochs=3)
    model.fit(images)
    losses = [r["loss"] for r in model.history_ if r["phase"] == "pretrain"]
    assert losses[-1] < share * losses[0]
    assert model.embedding_.std(axis=0).mean() > 0.1
    assert len(np.unique(model.labels_)) == 10


class Constant(nn.Module):
    """A network that places all samples at one point."""

    def __init__(self):
        super().__init__()
        self.center = nn.Parameter(torch.zeros(1, 4))
        self.up = nn.Linear(4, 64)

    def encode(self, x, corrupt):
        return [self.center.expand(len(x), 4)]

    def decode(self, embedding):
        return [self.up(embedding)]


def test_a_collapse_is_never_a_result(few_digits):
    images, y = few_digits
    with pytest.raises(FloatingPointError, match="collapsed to one point"):
        quick(10, network=Constant(), init=y).fit(images.reshape(300, -1))


@pytest.mark.filterwarnings("ignore:Clusters")
def test_modules_may_change_their_input_in_place(few_digits):
    rows = few_digits[0][:192].reshape(192, -1)
    kept = rows.copy()
    model = quick(
        10, network=InPlace(), init=few_digits[1][:192], dropout=0.0, pretrain_epochs=2
    ).fit(rows)
    np.testing.assert_array_equal(model.predict(rows), model.labels_)
    np.testing.assert_array_equal(rows, kept)


class Counter(TorchDispatchMode):
    """Counts the operations by which the host waits for a device.

    Copies to the processor cannot be seen where everything is there already; on CUDA
    they are counted by torch itself, in the test below.
    """

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")

    def __init__(self):
        super().__init__()
        self.waits = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_mask = "index" in func.__name__ and any(
            tensor is not None and tensor.dtype == torch.bool
            for indices in args[1:2]
            if isinstance(indices, (list, tuple))
            for tensor in indices
        )
        self.waits += by_mask or func.__name__.partition(".")[0] in self.WAITING
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("parameters", [{}, {"reconstruction_weight": 1.0}])
def test_within_an_epoch_nothing_waits_for_the_device(parameters, few_digits):
    images, y = few_digits
    waits = []
    for batch_size in (32, 300):
        # Both take all epochs.
        whole = {"tol": 0.0, "early_stopping": False}
        model = quick(10, init=y, batch_size=batch_size, **whole, **parameters)
        # What a process finds out once about its processor is not to count.
        model.fit(images)
        with Counter() as counter:
            model.fit(images)
        waits.append(counter.waits)
    assert waits[0] == waits[1] > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_waits_do_not_grow_with_the_batches(few_digits):
    images, y = few_digits
    waits = []
    for batch_size in (32, 300):
        model = quick(10, init=y, batch_size=batch_size)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # Setting it warns, too.
            torch.cuda.set_sync_debug_mode("warn")
            try:
                model.fit(images)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchronizing" in str(w.message) for w in caught))
    # Capturing a graph waits, and there may be one more of them.
    assert abs(waits[0] - waits[1]) <= 1 < waits[1]


@pytest.mark.filterwarnings("ignore:Clusters")
@pytest.mark.parametrize(
    ("parameters", "is_lower"),
    [({}, True), ({"algorithm": "paper"}, False), ({"network": "dense"}, True)],
)
def test_q_is_found_in_the_precision_of_training(
    parameters, is_lower, monkeypatch, few_digits
):
    seen = []
    assign_all = loop.assign_all

    def remember(*arguments):
        seen.append(torch.is_autocast_enabled("cpu"))
        return assign_all(*arguments)

    monkeypatch.setattr(_device, "_computes_bfloat16", lambda kind: True)
    monkeypatch.setattr(loop, "assign_all", remember)
    model = quick(3, init="kmeans", fit_epochs=1, max_iter=1, **parameters)
    model.fit(few_digits[0][:100])
    assert set(seen) == {is_lower}
