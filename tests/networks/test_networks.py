"""Networks: geometry, the protocol, and modules of the user's own."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import skdepict
from skdepict.networks import (
    Autoencoder,
    ConvAutoencoder,
    DenseAutoencoder,
    PublishedConvAutoencoder,
    SequenceAutoencoder,
    SigmoidConvAutoencoder,
)
from skdepict.networks._base import initialise_weights, no_corruption
from skdepict.networks._build import check_protocol, copy_of_module
from skdepict.networks._convolutions import (
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
)
from skdepict.persistence._identity import fingerprint_of
from tests.conftest import quick


def convolutions(network):
    return [layer[0] for layer in network.encoder if isinstance(layer[0], nn.Conv2d)]


@pytest.mark.parametrize(
    ("side", "kernels", "paddings"),
    [
        (16, (4, 5), (0, 2)),
        (28, (4, 5), (0, 2)),
        (32, (4, 5), (2, 2)),
        (55, (5, 4), (2, 0)),
    ],
)
def test_published_conv_has_the_papers_numbers_at_its_sizes(side, kernels, paddings):
    layers = convolutions(PublishedConvAutoencoder((1, side, side), 10))
    assert tuple(layer.kernel_size[0] for layer in layers) == kernels
    assert tuple(layer.padding[0] for layer in layers) == paddings
    assert all(layer.stride == (2, 2) for layer in layers)
    assert all(layer.out_channels == 50 for layer in layers)


def test_conv_has_smaller_kernels_and_more_maps_after_the_first_layer():
    layers = convolutions(ConvAutoencoder((1, 111, 111), 10))
    assert [layer.kernel_size for layer in layers] == [(3, 3), (4, 4), (3, 3), (3, 3)]
    assert [layer.out_channels for layer in layers] == [32, 64, 64, 64]


@given(
    network_class=st.sampled_from([ConvAutoencoder, PublishedConvAutoencoder]),
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    channels=st.integers(1, 4),
    embedding_dim=st.integers(1, 20),
)
def test_conv_mirrors_images_of_any_shape(
    network_class, height, width, channels, embedding_dim
):
    shape = (channels, height, width)
    network = network_class(shape, embedding_dim)
    assert check_protocol(network, shape) == embedding_dim


@pytest.mark.filterwarnings("ignore:Clusters")
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ConvAutoencoder),
        ({"algorithm": "paper"}, PublishedConvAutoencoder),
        ({"algorithm": "program"}, PublishedConvAutoencoder),
        ({"algorithm": "paper", "network": "conv"}, ConvAutoencoder),
        ({"network": "published_conv"}, PublishedConvAutoencoder),
    ],
)
def test_the_papers_equations_take_its_network_by_default(
    parameters, expected, few_digits
):
    images = few_digits[0][:100]
    model = quick(3, init="kmeans", fit_epochs=1, max_iter=1, **parameters).fit(images)
    assert type(model.network_.autoencoder) is expected


@given(height=st.integers(8, 33), width=st.integers(8, 33))
def test_sigmoid_conv_mirrors_odd_and_even_sides(height, width):
    network = SigmoidConvAutoencoder((1, height, width))
    units = check_protocol(network, (1, height, width))
    assert units == (height // 2) * (width // 2)


@given(length=st.integers(8, 300), channels=st.integers(1, 5))
def test_sequence_mirrors_series_of_any_length(length, channels):
    network = SequenceAutoencoder((channels, length), 7)
    assert check_protocol(network, (channels, length)) == 7


@pytest.mark.parametrize("shape", [(1,), (9,), (2, 8, 9)])
def test_dense_mirrors_any_shape(shape):
    assert check_protocol(DenseAutoencoder(shape, 4), shape) == 4


def test_the_noisy_pathway_drops_inputs_and_hidden_units_but_not_the_last_ones():
    network = DenseAutoencoder((6,), 3)
    initialise_weights(network, torch.Generator().manual_seed(0))
    seen = []

    def remember(x):
        seen.append(x.shape[1])
        return x

    network.encode(torch.zeros(2, 6), remember)
    assert seen == [6, 500]


def test_weights_depend_on_the_seed_alone():
    def weights(seed):
        network = ConvAutoencoder((1, 8, 8), 3)
        initialise_weights(network, torch.Generator().manual_seed(seed))
        return nn.utils.parameters_to_vector(network.parameters()).detach().numpy()

    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, weights(0))
    assert not np.array_equal(first, weights(1))


@pytest.mark.filterwarnings("ignore:Clusters")
@pytest.mark.parametrize(
    ("network", "rate"), [("auto", 6e-3), ("published_conv", 4e-3), ("dense", 4e-3)]
)
def test_learning_rate_is_that_of_the_network(network, rate, few_digits):
    def embedding(**parameters):
        model = quick(3, init="kmeans", fit_epochs=1, max_iter=1, network=network)
        return model.set_params(**parameters).fit(few_digits[0][:100]).embedding_

    np.testing.assert_array_equal(embedding(), embedding(learning_rate=rate))


class OwnNetwork(nn.Module):
    """A user's module that keeps the protocol and inherits from nothing of ours."""

    def __init__(self, n_features, n_units):
        super().__init__()
        self.down = nn.Linear(n_features, 20)
        self.squeeze = nn.Linear(20, n_units)
        self.unsqueeze = nn.Linear(n_units, 20)
        self.up = nn.Linear(20, n_features)
        self.drop = nn.Dropout(0.2)

    def encode(self, x, corrupt):
        hidden = torch.relu(self.down(corrupt(x)))
        return [hidden, torch.tanh(self.squeeze(self.drop(hidden)))]

    def decode(self, embedding):
        hidden = torch.relu(self.unsqueeze(embedding))
        return [hidden, self.up(hidden)]


def test_own_module_is_trained_as_a_copy_and_repeats_its_result(blobs):
    X, _ = blobs
    network = OwnNetwork(10, 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    model = quick(3, network=network, reconstruction_weight=1.0)
    torch.manual_seed(1)
    first = model.fit(X).embedding_
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, model.fit(X).embedding_)
    assert first.shape == (200, 5)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    trained = model.network_.autoencoder.cpu()
    assert not torch.equal(trained.down.weight, network.down.weight)


def test_own_module_without_the_rest_of_the_protocol_gets_it_in_its_copies(
    blobs, tmp_path
):
    network = OwnNetwork(10, 5)
    before = fingerprint_of(network)
    model = quick(3, network=network, reconstruction_weight=1.0).fit(blobs[0])
    assert fingerprint_of(network) == before
    assert not hasattr(network, "input_range")
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        skdepict.load(tmp_path / "model", network=network),
    ):
        np.testing.assert_array_equal(again.predict(blobs[0]), model.labels_)
        np.testing.assert_array_equal(again.fit(blobs[0]).embedding_, model.embedding_)
        autoencoder = again.network_.autoencoder
        assert autoencoder.input_range == Autoencoder.input_range
        assert not autoencoder.target_within_batch


def test_own_module_keeps_what_it_says_of_itself():
    class Unusual(OwnNetwork):
        input_range = (0.0, 2.0)

        def reconstruction_loss(self, decoded, clean):
            return 3.0

    copied = copy_of_module(Unusual(10, 5))
    assert copied.input_range == (0.0, 2.0)
    assert copied.reconstruction_loss([], []) == 3.0


def test_own_module_leaves_torchs_global_generator_alone(blobs):
    model = quick(3, network=OwnNetwork(10, 5))
    before = torch.get_rng_state()
    model.fit(blobs[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_own_module_with_wrong_encode_is_refused(blobs):
    class NoList(OwnNetwork):
        def encode(self, x, corrupt):
            return super().encode(x, corrupt)[-1]

    with pytest.raises(ValueError, match="encode of the network must return a list"):
        quick(3, network=NoList(10, 5)).fit(blobs[0])


def test_own_module_of_another_width_is_refused(blobs):
    with pytest.raises(ValueError, match=r"fails on a batch of shape \(2, 10\)"):
        quick(3, network=OwnNetwork(7, 5)).fit(blobs[0])


def test_own_module_with_wrong_decode_is_refused(blobs):
    class InputOnly(OwnNetwork):
        def decode(self, embedding):
            return super().decode(embedding)[-1:]

    with pytest.raises(ValueError, match="deepest first, then of the input: shapes"):
        quick(3, network=InputOnly(10, 5)).fit(blobs[0])


def test_sigmoid_conv_learns_the_starting_labels_and_its_own_targets(few_digits):
    images, y = few_digits
    model = quick(
        10,
        network="sigmoid_conv",
        init=y,
        pretrain_epochs=1,
        fit_epochs=40,
        max_iter=3,
        reconstruction_weight=1.0,
    ).fit(images)
    assert model.embedding_.shape == (300, 16)
    assert np.mean(model.labels_ == y) > 0.7
    joint = [epoch for epoch in model.history_ if epoch["phase"] == "joint"]
    assert joint
    assert all(epoch["reconstruction"] > 0 for epoch in joint)


def test_clean_pathway_changes_nothing():
    x = torch.rand(3, 4)
    assert no_corruption(x) is x


LAYERS = {
    "series": (Conv1d(3, 5, 5, 2, 2), (3, 17)),
    "images": (Conv2d(3, 5, (4, 5), 2, (0, 2)), (3, 8, 13)),
    "images, one channel": (Conv2d(1, 5, 3, padding=1), (1, 6, 6)),
    "series, transposed": (ConvTranspose1d(3, 5, 5, 2, 2), (3, 9)),
    "images, transposed": (ConvTranspose2d(3, 5, (5, 4), 2, (2, 0)), (3, 9, 6)),
    "images, to odd sides": (ConvTranspose2d(3, 5, 2, 2, output_padding=1), (3, 4, 4)),
}
TORCHS = {
    Conv1d: nn.Conv1d.forward,
    Conv2d: nn.Conv2d.forward,
    ConvTranspose1d: nn.ConvTranspose1d.forward,
    ConvTranspose2d: nn.ConvTranspose2d.forward,
}


def gradients(layer, forward, x, n_threads=1):
    """Output, and gradients of the input, the weights and the biases."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        x = x.clone().requires_grad_()
        output = forward(layer, x)
        towards = torch.linspace(-1, 1, output.numel()).view(output.shape)
        wanted = [x, layer.weight, layer.bias]
        found = torch.autograd.grad(output, wanted, towards.to(output.dtype))
        return [output.detach(), *found]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("windows_bytes", [1, 1500, 4_000_000])
@pytest.mark.parametrize("channels_last", [False, True])
def test_convolutions_have_the_gradients_of_torch(case, windows_bytes, channels_last):
    layer, shape = LAYERS[case]
    layer = copy.deepcopy(layer).double()
    layer.windows_bytes = windows_bytes
    x = torch.rand((7, *shape), generator=torch.Generator().manual_seed(0)).double()
    if channels_last:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    ours = gradients(layer, type(layer).forward, x)
    theirs = gradients(layer, TORCHS[type(layer)], x)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their)


@pytest.mark.parametrize("case", LAYERS)
def test_convolutions_see_no_difference_in_how_gradients_lie_in_memory(case):
    """Of a sum the gradient is one number for all; then as one for each value."""
    layer, shape = LAYERS[case]
    x = torch.rand((32, *shape), generator=torch.Generator().manual_seed(0))
    output = layer(x)
    one = torch.ones(())
    found = [
        torch.autograd.grad(output, layer.weight, towards, retain_graph=True)[0]
        for towards in (one.expand(output.shape), one.expand(output.shape).clone())
    ]
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize("case", LAYERS)
def test_convolutions_have_gradients_of_no_samples(case):
    layer, shape = LAYERS[case]
    _, _, of_weights, of_biases = gradients(
        layer, type(layer).forward, torch.zeros((0, *shape))
    )
    assert of_weights.shape == layer.weight.shape
    assert not of_weights.any()
    assert not of_biases.any()


@pytest.mark.parametrize("case", LAYERS)
def test_convolutions_have_the_gradients_of_torch_in_half_precision(case):
    layer, shape = LAYERS[case]
    x = torch.rand((7, *shape), generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = gradients(layer, type(layer).forward, x)
    for our, their in zip(ours, gradients(layer, TORCHS[type(layer)], x), strict=True):
        scale = their.abs().max()
        torch.testing.assert_close(
            our.float() / scale, their / scale, atol=0.02, rtol=0
        )


@pytest.mark.parametrize("n_read", [1, 50])
# Of a convolution the rows of the products are a multiple of 4, 4, 5, 7, 9, 13 and,
# with one map to read, of no number that a sum is split by.
@pytest.mark.parametrize(
    ("n_samples", "side"),
    [(100, 3), (100, 8), (75, 10), (37, 14), (37, 18), (62, 26), (97, 37)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_gradients_of_convolutions_do_not_depend_on_threads(
    n_read, n_samples, side, dtype, kind
):
    channels = (n_read, 50) if kind is Conv2d else (50, n_read)
    layer = kind(*channels, 3, 2, 1).to(dtype, memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    shape = n_samples, channels[0], side, side
    x = torch.rand(shape, generator=generator).to(dtype)
    # Transposed, the output and the gradient of the input are the library's.
    first = 0 if kind is Conv2d else 2
    one, two, three = (
        gradients(layer, kind.forward, x, n_threads)[first:] for n_threads in (1, 2, 3)
    )
    assert all(map(torch.equal, one, two))
    assert all(map(torch.equal, one, three))
