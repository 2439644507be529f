"""The paper's configuration, against the authors' program and against slow twins."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

from skdepict import DEPICTClustering, PathIntegralClustering
from skdepict._data.samples import Samples
from skdepict._training import held_out, loop
from skdepict._training.held_out import HeldOut
from skdepict._training.processes import Processes
from skdepict.metrics import clustering_accuracy
from skdepict.networks import PublishedConvAutoencoder
from skdepict.networks._base import no_corruption
from skdepict.networks._losses import reconstruction_loss
from tests.conftest import load_real, settings_of, tuned


def test_parameters_are_those_of_the_authors():
    model = DEPICTClustering.as_published(10, random_state=0)
    init = model.init
    assert (init.n_clusters, init.metric, init.n_neighbors) == (10, "euclidean", 20)
    assert (init.bandwidth, init.min_cluster_fraction) == (1.0, 0.0)
    changed = {
        "working_size": None,
        "n_neighbors": 0,
        "algorithm": "program",
        "max_rounds": 1,
        "prior": "uniform",
        "fit_epochs": 4000,
        "max_iter": 4000,
        "distortion": False,
        "learning_rate": 1e-4,
        "batch_size": 100,
        "init": init,
    }
    default = DEPICTClustering(10, random_state=0)
    assert model.get_params(deep=False) == default.get_params() | changed
    assert DEPICTClustering.as_published(3, max_rounds=2).max_rounds == 2
    short = DEPICTClustering.as_published(3, budget="short")
    assert (short.fit_epochs, short.max_iter) == (20, 50)


@pytest.mark.parametrize(
    ("fit_epochs", "max_iter", "expected"),
    [(5, 7, 7), (9, 7, 9), (None, None, 68), (5, None, 68), (None, 0, 68)],
)
def test_an_autoencoder_is_trained_alone_where_labels_are_found_in_its_embedding(
    fit_epochs, max_iter, expected
):
    def n_epochs(init, n_clusters=10):
        given = {"fit_epochs": fit_epochs, "max_iter": max_iter, "init": init}
        settings = settings_of(300, n_clusters, batch_size=16, **given)
        return settings.n_epochs(SimpleNamespace(phase="pretrain"))

    assert n_epochs("kmeans") == n_epochs(GaussianMixture()) == expected
    assert n_epochs("path-integral") == 0
    assert n_epochs(np.arange(300) % 10) == n_epochs(np.zeros((10, 64))) == 0
    # One cluster holds all samples, whatever the embedding is.
    assert n_epochs("kmeans", 1) == 0


@pytest.mark.filterwarnings("ignore:Clusters")
def test_the_embedding_has_as_many_units_as_clusters(few_digits):
    images, _ = few_digits
    brief = {"fit_epochs": 1, "max_iter": 1, "random_state": 0}
    for network in ("auto", "dense"):
        model = DEPICTClustering.as_published(9, network=network, **brief).fit(images)
        assert model.embedding_.shape == (300, 9)
    assert DEPICTClustering(9, **brief).fit(images).embedding_.shape == (300, 64)
    assert DEPICTClustering(70, **brief).fit(images).embedding_.shape == (300, 70)


def test_small_variant_has_its_own_code_rate_and_q():
    model = DEPICTClustering.as_published(10, network="sigmoid_conv")
    changed = {
        "network": "sigmoid_conv",
        "algorithm": "paper",
        "learning_rate": 1e-3,
        "init": model.init,
    }
    published = DEPICTClustering.as_published(10).get_params(deep=False)
    assert model.get_params(deep=False) == published | changed


def test_published_configuration_needs_a_number():
    with pytest.raises(ValueError, match="as_published needs the number of clusters"):
        DEPICTClustering.as_published("auto")


def test_budgets_are_named_where_one_is_not_known():
    with pytest.raises(
        ValueError, match=r"budget='long' is not known\. Use one of full"
    ):
        DEPICTClustering.as_published(10, budget="long")


@pytest.mark.filterwarnings("ignore:Clusters")
def test_phases_end_by_what_held_out_samples_say(monkeypatch, few_digits):
    assert held_out.PATIENCE == {"pretrain": 100, "initialise": 5}
    # With these, and at 1e-4, 300 digits would take thousands of epochs.
    patience = {"pretrain": 3, "initialise": 2}
    monkeypatch.setattr(held_out, "PATIENCE", patience)
    model = tuned(pretrain_epochs=400).as_published(10, random_state=0)
    model.set_params(max_iter=3, learning_rate=5e-3)
    model.fit(few_digits[0])
    history = model.history_
    for phase, n_epochs in patience.items():
        values = [r["held_out"] for r in history if r["phase"] == phase]
        assert len(values) - 1 - np.argmin(values) == n_epochs
        assert all(r["reconstruction"] > 0 for r in history if r["phase"] == phase)
    assert all(r["reconstruction"] > 0 for r in history if r["phase"] == "joint")
    assert "held_out" not in history[-1]


def samples_of(model, images):
    """All images, as the network of a fitted model takes them."""
    rows = images.reshape(len(images), -1)
    return Samples(rows, model._input_format, torch.device("cpu"))


@pytest.mark.filterwarnings("ignore:Clusters")
def test_best_weights_are_restored(monkeypatch, few_digits):
    images, y = few_digits
    made = []

    def made_held_out(*args):
        made.append(HeldOut(*args))
        return made[0]

    monkeypatch.setattr(loop, "HeldOut", made_held_out)
    kind = tuned(pretrain_epochs=20)
    model = kind.as_published(10, init=y, random_state=0, device="cpu")
    model.set_params(fit_epochs=0, max_iter=0, learning_rate=2e-2)
    model.fit(images)
    values = [record["held_out"] for record in model.history_]
    assert min(values) < values[-1]
    assert made[0]._clean_loss() == pytest.approx(min(values), rel=1e-5)


def test_a_tenth_is_held_out_and_judged_without_noise(few_digits):
    images, y = few_digits
    model = DEPICTClustering(10, init=y, fit_epochs=2, max_iter=0, device="cpu")
    samples = samples_of(model.fit(images), images)
    settings = settings_of(300, 10, algorithm="program")
    found = HeldOut(model.network_, samples, settings, Processes(samples.device))
    places = np.setdiff1d(np.arange(300), found.taught)
    assert len(places) == 30
    np.testing.assert_array_equal(found.others.numpy(), found.taught)
    nmi = normalized_mutual_info_score(y[places], model.predict(images[places]))
    assert found._agreement(y) == pytest.approx(nmi)
    network = model.network_.autoencoder
    with torch.no_grad():
        part = samples.batch(torch.from_numpy(places))
        clean = network.encode(part.clone(), no_corruption)
        loss = reconstruction_loss(network.decode(clean[-1]), [part, *clean[:-1]])
    assert found._clean_loss() == pytest.approx(loss.item(), rel=1e-5)


@pytest.fixture(scope="module")
def program():
    """What the authors shipped for MNIST-test: weights by name, and labels."""
    names = [*(f"p{number}" for number in range(12)), "labels"]
    *weights, labels = load_real("depict_program_mnist_test", names)
    weights, labels = [torch.from_numpy(w) for w in weights], labels.astype(int)
    # Theano flips kernels, and has dense layers transposed. Their maps are ordered by
    # channel, ours by position.
    weights = [w.flip(2, 3) if w.ndim == 4 else w.t() for w in weights]
    by_position = torch.arange(2450).reshape(50, 49).t().flatten()
    weights[4] = weights[4][:, by_position]
    weights[6], weights[7] = weights[6][by_position], weights[7][by_position]
    network = PublishedConvAutoencoder((1, 28, 28), 10)
    names = [name for name, _ in network.named_parameters()]
    network.load_state_dict(dict(zip(names, weights, strict=True)))
    return network, labels


@torch.no_grad()
def test_network_of_the_authors_reconstructs_as_well_as_theirs(program):
    network, labels = program
    images, y = (array[60_000:] for array in load_real("mnist_full"))
    assert clustering_accuracy(y, labels) == pytest.approx(0.9333)
    x = torch.from_numpy((images.astype(np.float32) - 127.5) / 127.5)[:, None]
    losses, layers = [], []
    for part in x.split(1000):
        clean = network.encode(part.clone(), no_corruption)
        decoded = network.decode(clean[-1])
        losses.append(reconstruction_loss(decoded, [part, *clean[:-1]]).item())
        layers.append(clean)
    assert np.mean(losses) == pytest.approx(0.0389, abs=0.0002)
    first, second, embedding = (torch.cat(parts) for parts in zip(*layers, strict=True))
    assert first.std().item() == pytest.approx(0.043, abs=0.0006)
    assert second.std().item() == pytest.approx(0.044, abs=0.0006)
    spread = embedding.std(dim=0)
    assert spread.min() > 0.18
    assert spread.max() < 0.34
    # Their AC-PIC, by ours.
    init = clone(DEPICTClustering.as_published(10).init)
    assert isinstance(init, PathIntegralClustering)
    found = init.fit_predict(embedding.numpy())
    assert adjusted_rand_score(labels, found) >= 0.97
    assert clustering_accuracy(y, found) == pytest.approx(0.937, abs=0.001)
