"""The noisy pathway's noise."""

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from skdepict._training import noise
from skdepict._training.noise import Distortion, Dropout


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_dropout_drops_its_share_and_keeps_the_mean():
    dropped = Dropout(0.3, generator())(torch.ones(1000, 100))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rate", [1e-6, 0.001, 0.1, 0.3, 0.5, 0.9, 0.99])
def test_dropout_keeps_the_mean_in_every_precision(rate, dtype):
    """What is kept, times a factor that the type has, is 1 but for one draw."""
    n_entries = 2_000_000
    n_draws, factor = noise.draws_and_factor(rate, n_entries, dtype)
    share = (1 - 1 / n_entries) ** n_draws
    assert factor == torch.tensor(factor, dtype=dtype).item()
    assert share * factor == pytest.approx(1, abs=1e-6)
    assert 1 - share == pytest.approx(rate, abs=0.004)
    dropped = Dropout(rate, generator())(torch.ones(n_entries, dtype=dtype))
    assert dropped.double().mean().item() == pytest.approx(1, abs=0.02)
    assert set(dropped.unique().tolist()) <= {0.0, factor}


@pytest.mark.parametrize("n_entries", [0, 1, 2, 5, 14, 128])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_few_entries_keep_their_mean_but_for_half_a_draw(n_entries, rate):
    n_draws, factor = noise.draws_and_factor(rate, n_entries, torch.float32)
    kept = (1 - 1 / max(n_entries, 1)) ** n_draws
    assert kept * factor == pytest.approx(1, abs=0.55 / max(n_entries, 1))
    x = torch.ones(n_entries)
    dropped = Dropout(rate, generator())(x)
    assert dropped is x if n_draws == 0 else (dropped == 0).any()


def test_half_precision_has_a_factor_for_every_rate():
    x = torch.ones(100, dtype=torch.float16)
    assert Dropout(1 - 1e-6, generator())(x).isfinite().all()


def test_decisions_are_uniform_and_independent():
    kept = Dropout(0.5, generator())(torch.ones(1_000_000)) > 0
    pairs = 2 * kept[::2].long() + kept[1::2].long()
    shares = pairs.bincount() / len(pairs)
    assert torch.allclose(shares, torch.tensor(0.25), atol=3e-3)


def test_dropout_of_almost_everything_drops_almost_everything():
    dropped = Dropout(1 - 1e-7, generator())(torch.ones(1000, 100))
    assert (dropped == 0).float().mean().item() > 0.999


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_dropout_keeps_the_order_of_memory(order):
    x = torch.ones(7, 3, 5, 6).to(memory_format=order)
    assert Dropout(0.3, generator())(x).stride() == x.stride()
    assert Dropout(0.3, generator())(x[:, :, ::2]).shape == (7, 3, 3, 6)


def test_noise_is_single_precision_whatever_the_default():
    images = torch.rand(5, 1, 11, 9)
    try:
        torch.set_default_dtype(torch.float64)
        distorted = Distortion(generator(), affine=True, elastic=True)(images)
    finally:
        torch.set_default_dtype(torch.float32)
    assert distorted.dtype == torch.float32


def test_dropout_of_zero_is_the_identity():
    x = torch.rand(4, 4)
    assert Dropout(0.0, generator())(x) is x


KINDS = {"affine": (True, False), "elastic": (False, True), "both": (True, True)}


@pytest.mark.parametrize("noise", ["dropout", *KINDS])
def test_noise_repeats_with_its_generator_and_ignores_the_global_one(noise):
    images = torch.rand(5, 1, 9, 9, generator=generator())

    def draw(global_seed):
        torch.manual_seed(global_seed)
        if noise == "dropout":
            return Dropout(0.5, generator(3))(images)
        return Distortion(generator(3), *KINDS[noise])(images)

    assert torch.equal(draw(1), draw(2))
    assert not torch.equal(draw(1), images)


@pytest.mark.parametrize("seed", range(5))
def test_affine_noise_is_a_small_rotation_shift_and_zoom_of_the_image(seed):
    """Against scipy, for known draws, on an image that is not square."""
    draws = torch.empty(5).uniform_(-1, 1, generator=generator(seed)).double().numpy()
    height, width = 20, 30
    rows, columns = np.mgrid[:height, :width]
    image = np.exp(-((rows - 9) ** 2 + (columns - 16) ** 2) / 20.0)
    images = torch.from_numpy(image).float()[None, None]
    got = Distortion(generator(seed), affine=True, elastic=False)(images)

    angle = np.deg2rad(10.0) * draws[0]
    # Output pixel to input pixel, measured from the centre, rows before columns: a
    # rotation after stretching rows and columns by up to 10 %.
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = turn * (1 + 0.1 * draws[[4, 3]])
    center = np.array([(height - 1) / 2, (width - 1) / 2])
    shift = 0.1 * draws[[2, 1]] * [height, width]
    expected = affine_transform(
        image, matrix, offset=center - matrix @ center + shift, order=1, mode="nearest"
    )
    np.testing.assert_allclose(got[0, 0].numpy(), expected, atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_distortions_repeat_the_edge_and_keep_constant_images(kind):
    images = torch.full((50, 3, 8, 12), 0.7)
    distorted = Distortion(generator(), *KINDS[kind])(images)
    np.testing.assert_allclose(distorted.numpy(), 0.7, 1e-5)


def test_no_distortion_is_the_identity():
    images = torch.rand(4, 1, 8, 8)
    assert Distortion(None, affine=False, elastic=False)(images) is images


def dots_moved_by(affine, elastic):
    """How far, in pixels, the centres of mass of dots move along either axis."""
    images = torch.zeros(200, 1, 33, 33)
    images[:, :, 15:18, 15:18] = 1.0
    moved = Distortion(generator(), affine, elastic)(images)[:, 0]
    mass = moved.sum(dim=(1, 2))
    grid = torch.arange(33.0)
    centers = [(moved.sum(dim=3 - axis) * grid).sum(dim=1) / mass for axis in (1, 2)]
    return (torch.stack(centers) - 16).abs()


def test_affine_noise_stays_within_its_bounds():
    """A dot moves by no more than shift and rotation allow."""
    farthest = dots_moved_by(affine=True, elastic=False).max().item()
    assert 1.0 < farthest <= noise.MAX_SHIFT * 33 * 1.35


def test_elastic_noise_stays_within_its_bounds():
    """Between the points of the grid a dot moves by less than they may."""
    farthest = dots_moved_by(affine=False, elastic=True).max().item()
    assert 1.0 < farthest <= noise.MAX_BEND * 33 * 1.35


def test_elastic_noise_bends_and_does_not_only_shift():
    """Two dots of one image move by different amounts, but near ones alike."""
    images = torch.zeros(100, 1, 33, 33)
    columns = {"left": 6, "near": 8, "right": 26}
    offsets = {}
    for name, column in columns.items():
        dots = torch.zeros_like(images)
        dots[:, :, 15:18, column - 1 : column + 2] = 1.0
        moved = Distortion(generator(), affine=False, elastic=True)(dots)[:, 0]
        rows = moved.sum(dim=2)
        offsets[name] = (rows * torch.arange(33.0)).sum(dim=1) / rows.sum(dim=1)
    near = (offsets["left"] - offsets["near"]).abs().mean()
    far = (offsets["left"] - offsets["right"]).abs().mean()
    assert near < 0.5 * far
