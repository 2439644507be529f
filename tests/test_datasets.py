"""Images in folders."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from skdepict import DEPICTClustering
from skdepict._data import stored
from skdepict.datasets import load_image_folder

from .conftest import quick


@pytest.fixture
def folder(tmp_path, few_digits):
    """200 digits as PNG files, in two folders."""
    for number, image in enumerate(few_digits[0][:200]):
        place = tmp_path / ("a", "b")[number % 2]
        place.mkdir(exist_ok=True)
        Image.fromarray((image * 15).astype(np.uint8)).save(place / f"{number:03}.png")
    return tmp_path


def test_images_come_back_as_they_are_and_can_be_clustered(folder, few_digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_image_folder(folder, (8, 8))
    assert data.images.dtype == np.uint8
    assert data.filenames.tolist()[:2] == ["a/000.png", "a/002.png"]
    order = [int(name[2:5]) for name in data.filenames]
    np.testing.assert_array_equal(data.images, few_digits[0][order] * 15)
    assert quick(10).fit_predict(data.images).shape == (200,)


def test_other_sizes_and_colours(tmp_path):
    Image.new("RGB", (30, 20), (255, 0, 0)).save(tmp_path / "red.jpg", quality=95)
    Image.new("L", (5, 7), 100).save(tmp_path / "grey.bmp")
    data = load_image_folder(tmp_path, [10, 12, 3])
    assert data.images.shape == (2, 10, 12, 3)
    assert np.all(data.images[0] == 100)
    np.testing.assert_allclose(data.images[1], [[[254, 0, 0]] * 12] * 10, atol=2)
    grey = load_image_folder(tmp_path, (10, 12)).images
    np.testing.assert_allclose(grey[1], 76, atol=1)


def test_wide_pixels_are_scaled_and_not_cut_off(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    images = load_image_folder(tmp_path, (8, 8)).images
    np.testing.assert_array_equal(images[0], ramp // 257)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(32, 32), (20, 24), (20, 24, 3)])
def test_twelve_bits_in_sixteen_keep_their_contrast(order, shape, tmp_path):
    ramp = np.linspace(0, 4095, 1024).reshape(32, 32).astype(np.uint16)
    for number in range(3):
        picture = np.roll(ramp, number, axis=0).astype(f"{order}u2")
        Image.fromarray(picture).save(tmp_path / f"{number}.tiff")
    images = load_image_folder(tmp_path, shape).images
    assert images.shape == (3, *shape)
    assert images.max() == 255
    assert len(np.unique(images)) > 200
    assert np.abs(np.diff(images[0].astype(int), axis=0)).max() < 20


def test_eight_bits_in_sixteen_are_not_made_brighter(tmp_path):
    Image.fromarray(np.full((8, 8), 100, np.uint16)).save(tmp_path / "a.png")
    Image.fromarray(np.full((8, 8), 50, np.uint8)).save(tmp_path / "b.png")
    images = load_image_folder(tmp_path, (8, 8)).images
    assert np.unique(images[0]) == 100
    assert np.unique(images[1]) == 50


def test_transparent_parts_are_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    image.save(tmp_path / "image.png")
    pixels = load_image_folder(tmp_path, (8, 8)).images[0]
    assert pixels[0, 0] == 0
    assert pixels.sum() == 63 * 255


def test_photographs_are_turned_as_the_camera_says(tmp_path):
    image = Image.new("L", (8, 8))
    image.paste(255, (0, 0, 8, 4))
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "image.png", exif=exif)
    assert load_image_folder(tmp_path, (8, 8)).images[0, 7].min() == 255


def test_files_that_are_no_images_are_named_in_a_warning(folder):
    (folder / "notes.txt").write_text("no image")
    whole = (folder / "a" / "000.png").read_bytes()
    (folder / "a" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / ".DS_Store").write_bytes(b"hidden")
    with pytest.warns(UserWarning, match="2 of 202 files") as caught:
        data = load_image_folder(folder, (8, 8))
    assert len(data.images) == 200
    message = str(caught[0].message)
    assert "notes.txt (no image that Pillow knows)" in message
    assert "a/cut.png (" in message
    assert "DS_Store" not in message
    assert caught[0].filename == __file__


def test_a_reader_that_fails_in_its_own_way_is_named(tmp_path):
    # A DDS header that asks for a format that Pillow does not read.
    header = np.zeros(31, dtype="<u4")
    header[0], header[1], header[2:4] = 124, 0x1007, 8
    header[18:20] = 32, 0x4
    content = b"DDS " + header.tobytes() + bytes(64)
    (tmp_path / "image.dds").write_bytes(content[:84] + b"????" + content[88:])
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    with pytest.warns(UserWarning, match=r"1 of 2 files .* image\.dds \("):
        assert len(load_image_folder(tmp_path, (8, 8)).images) == 1


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    scandir = stored.os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(stored.os, "scandir", refuse)
    with pytest.raises(PermissionError):
        load_image_folder(folder, (8, 8))


def test_many_failures_are_counted_and_the_first_named(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    for number in range(30):
        (tmp_path / f"{number:02}.txt").write_text("no image")
    with pytest.warns(UserWarning, match="30 of 31 files") as caught:
        load_image_folder(tmp_path, (8, 8))
    message = str(caught[0].message)
    assert "09.txt" in message
    assert "10.txt" not in message
    assert message.endswith("...")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no images. It has no files"):
        load_image_folder(tmp_path, (8, 8))
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"has no images. 1 of 1 files .* notes.txt"):
        load_image_folder(tmp_path, (8, 8))
    with pytest.raises(NotADirectoryError, match="is no folder"):
        load_image_folder(tmp_path / "notes.txt", (8, 8))
    with pytest.raises(FileNotFoundError, match="is no folder"):
        load_image_folder(tmp_path / "missing", (8, 8))


@pytest.mark.parametrize("shape", [8, (8,), (8, 8, 4), (8, 0), (8.5, 8), "ab", None])
def test_shapes_that_are_none_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match=r"image_shape=.* must be"):
        load_image_folder(tmp_path, shape)


@given(data=st.data())
def test_damaged_files_are_read_or_named(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
    written = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    Image.fromarray(noise).save(written, kind)
    damaged = bytearray(written.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        place = int(data.draw(st.floats(0, 1, exclude_max=True)) * len(damaged))
        damaged[place] = data.draw(st.integers(0, 255))
    (folder / "damaged").write_bytes(damaged)
    Image.new("L", (8, 8)).save(folder / "whole.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = load_image_folder(folder, (8, 8))
    named = any("1 of 2 files" in str(warning.message) for warning in caught)
    assert len(found.images) + named == 2


def test_without_pillow_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match="skdepict\\[images\\]"):
        load_image_folder(tmp_path, (8, 8))


def test_colour_images_of_a_folder_are_clustered(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(40):
        pixels = generator.integers(0, 40, (10, 10, 3))
        pixels[:, :, number % 2] += 200
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number:02}.png")
    images = load_image_folder(tmp_path, (10, 10, 3)).images
    labels = DEPICTClustering(2, random_state=0, fit_epochs=20).fit_predict(images)
    assert np.all(
        labels == labels[0] * (np.arange(40) % 2 == 0) + labels[1] * (np.arange(40) % 2)
    )
