"""The page about a model, in a browser."""

import json
import re
import shutil
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdepict import DEPICTClustering
from skdepict.report import main, make_report
from skdepict.report._alike import most_alike
from skdepict.report._thumbnails import Thumbnails, sprite

from .conftest import quick

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
# Points at the first sample, hides its cluster, and says what is in the canvas.
POINTING = """
<script>
const rectangle = canvas.getBoundingClientRect();
const [px, py] = place(points[0]);
canvas.dispatchEvent(new PointerEvent("pointermove", {
  clientX: rectangle.left + px * rectangle.width / canvas.width,
  clientY: rectangle.top + py * rectangle.height / canvas.height,
}));
function painted() {
  const values = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  return values.filter((value, i) => i % 4 == 3 && value > 0).length;
}
const before = painted();
legend.children[0].click();
document.querySelector('input[name="1"]').value = "ones & <b>twos</b>";
let saved = "";
HTMLAnchorElement.prototype.click = function () { saved = this.href; };
document.querySelector("#names button[type=submit]").click();
document.querySelector('button[data-cluster="1"]').click();
const members = [...document.querySelectorAll("#members [role=img]")];
const shown = document.createElement("p");
shown.id = "seen";
shown.textContent = [before > painted(), picture.style.width,
                     document.querySelectorAll("img").length, all.open,
                     members.length, saved].join(" ");
document.body.append(shown);
</script>
"""


def in_browser(page, folder):
    """The page's text after its scripts have run."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome on the path to open the page in")
    file = folder / "page.html"
    file.write_text(page.replace("</body>", POINTING + "</body>"))
    result = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={folder / 'profile'}", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return result.stdout


def n_pictures(model, X):
    """How many samples and prototypes of few clusters are shown."""
    sizes = np.bincount(model.predict(X), minlength=model.n_clusters_)
    # Up to 12 most and least certain ones and 6 unusual ones of each, its prototype,
    # and up to 24 of those that would be joined next.
    shown = np.minimum(sizes, 24) + np.minimum(sizes, 6) + 1
    now, then = model.cut(model.n_clusters_), model.cut(model.n_clusters_ - 1)
    (joined,) = [
        parts
        for cluster in np.unique(then)
        if len(parts := np.unique(now[then == cluster])) == 2
    ]
    named = [np.bincount(model.labels_[now == part]).argmax() for part in joined]
    rows = np.reshape(X, (len(X), -1))
    alike = most_alike(rows.__getitem__, model.predict(X), 12)
    n_alike = sum(min(len(group), 12) for group in alike)
    return shown.sum() + np.minimum(sizes[named], 24).sum() + n_alike


@given(st.integers(2, 30), st.integers(1, 3), st.integers(1, 5), st.integers(0, 99))
def test_the_nearest_samples_are_the_most_alike(n, n_clusters, n_groups, seed):
    rng = np.random.default_rng(seed)
    rows, labels = rng.normal(size=(n, 2)), rng.integers(0, n_clusters, n)
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)
    distances[labels[:, None] != labels] = np.inf
    np.fill_diagonal(distances, np.inf)
    groups = most_alike(rows.__getitem__, labels, n_groups)
    assert len(groups) <= n_groups
    members = [sample for group in groups for sample in group]
    assert len(members) == len(set(members))
    for group in groups:
        assert len(set(labels[group])) == 1
        # Each is linked to its nearest, or is the nearest of another one.
        within = distances[np.ix_(group, group)]
        nearest = within == distances[group].min(axis=1, keepdims=True)
        assert (nearest | nearest.T).any(axis=1).all()
    if np.isfinite(distances).any():
        pair = np.unravel_index(distances.argmin(), distances.shape)
        assert set(pair) <= set(groups[0])
    # Whoever is left out is further from all others than those that are in.
    left = np.setdiff1d(np.arange(n), members)
    if len(left) and groups:
        shown = max(distances[group].min(axis=1).min() for group in groups)
        assert distances[left].min() >= shown


def test_copies_are_shown_together(few_digits, fitted):
    X = few_digits[0].copy()
    X[[7, 70, 170]] = X[5]
    page = make_report(fitted, X)
    alike = page[page.index("Most alike") : page.index("Map of the embedding")]
    row = next(row for row in alike.split("<tr>") if "sample 5," in row)
    for copy in ("sample 7,", "sample 70,", "sample 170,"):
        assert copy in row


def test_pointing_at_the_map_shows_the_sample(fitted, few_digits, tmp_path):
    page = make_report(fitted, few_digits[0], cluster_names={0: "zeros"})
    text = in_browser(page, tmp_path)
    assert re.search(r"sample 0, cluster \d, probability [01]\.\d{3}", text)
    seen = re.search(r'id="seen">(.*?)<', text)[1].split()
    hides, width, n_images, is_open, n_members, saved = seen
    assert (hides, is_open) == ("true", "true")
    assert width == "160px"
    assert int(n_images) == n_pictures(fitted, few_digits[0])
    assert int(n_members) == np.sum(fitted.labels_ == 1)
    kind, _, names = saved.partition(",")
    assert kind == "data:application/json;charset=utf-8"
    assert json.loads(unquote(names)) == {"0": "zeros", "1": "ones & <b>twos</b>"}


def test_the_page_needs_nothing_from_elsewhere(fitted, few_digits):
    page = make_report(fitted, few_digits[0])
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert page == make_report(fitted, few_digits[0])


def test_the_page_says_what_predict_says(fitted, few_digits):
    page = make_report(fitted, few_digits[0][:100])
    assert page.count(">prototype<") == 1
    sizes = re.findall(r'<button data-cluster="\d">(\d+)</button>', page)
    expected = np.bincount(fitted.predict(few_digits[0][:100]), minlength=10)
    assert list(map(int, sizes)) == expected.tolist()


def test_names_from_outside_are_text_and_no_markup(blobs):
    class Marked(str):
        def __repr__(self):
            return "<script>alert(1)</script>"

    model = quick(3).fit(blobs[0])
    model.device = Marked("cpu")
    name = '</td><script>alert(1)</script>" onload="alert(1)'
    page = make_report(
        model, blobs[0], sample_names=[name] * len(blobs[0]), cluster_names={0: name}
    )
    assert "<script>alert" not in page
    assert '" onload="' not in page


@pytest.mark.parametrize("shape", [(16,), (2, 16)])
def test_series_are_shown_as_curves(shape):
    X = np.random.default_rng(0).normal(size=(60, *shape)).cumsum(axis=-1)
    model = quick(3, network="sequence").fit(X)
    assert make_report(model, X).count("<img") == n_pictures(model, X)


def test_tables_are_shown_by_their_numbers(blobs, tmp_path):
    model = quick(3).fit(blobs[0])
    page = make_report(model, blobs[0])
    assert "<img" not in page
    assert ">prototype<" not in page
    sizes = np.bincount(model.labels_)
    named = make_report(
        model, blobs[0], sample_names=[f"<{n}>" for n in range(len(blobs[0]))]
    )
    assert re.search(r">&lt;\d+&gt;</span>", named)
    assert page.count('class="row"') >= np.minimum(sizes, 24).sum() + 3 * 6


def test_colours_and_parts_of_a_memory_map(tmp_path):
    pictures = np.random.default_rng(1).integers(0, 200, (3, 10, 9, 3), dtype=np.uint8)
    X = np.random.default_rng(0).integers(0, 50, (60, 10, 9, 3), dtype=np.uint8)
    X += np.resize(pictures, X.shape)
    np.save(tmp_path / "X.npy", X)
    model = quick(3).fit(X)
    expected = make_report(model, X, max_points=20)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert make_report(model, mapped, max_points=20) == expected
    assert expected.count("<img") == n_pictures(model, X)


def test_rows_are_shown_as_the_pictures_they_are_of(blobs):
    X, _ = blobs
    model = quick(3).fit(X)
    pictures = np.arange(len(X), dtype=np.uint8)[:, None, None] * np.ones(
        (1, 100, 80), dtype=np.uint8
    )
    page = make_report(model, X, pictures=pictures)
    content = json.loads(re.search(r'"application/json">(.*?)</script>', page)[1])
    assert content["size"] == [40, 50]
    assert "<img" in page
    colours = np.repeat(pictures[..., None], 3, axis=3)
    assert "<img" in make_report(model, X, pictures=colours)
    for wrong in (pictures[1:], pictures * 1.0, colours[..., :2]):
        with pytest.raises(ValueError, match=r"Pass uint8 of shape \(\d+, height"):
            make_report(model, X, pictures=wrong)


def test_more_points_than_a_display_draws(few_digits):
    model = quick(10).fit(few_digits[0])
    X = np.resize(few_digits[0], (5100, 8, 8))
    page = make_report(model, X, max_points=5050)
    content = json.loads(re.search(r'"application/json">(.*?)</script>', page)[1])
    assert content["sprite"]
    assert len(content["samples"]) == 5100
    assert sum(x is not None for x, *_ in content["samples"]) == 5050


def test_pictures_that_browsers_would_not_show_are_left_out(few_digits):
    rows = few_digits[0].reshape(300, 64)
    thumbnails = Thumbnails(quick(10).fit(few_digits[0])._input_format, rows)
    # 100 pictures of 8x8 fit into one.
    assert thumbnails.fit_into_one(100, max_side=80)
    assert not thumbnails.fit_into_one(101, max_side=80)


@pytest.mark.parametrize(("side", "n_pictures"), [(64, 2000), (16, 3000)])
def test_pictures_take_no_more_room_than_they_may(side, n_pictures):
    shape = (n_pictures, side, side, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for max_length in (2**20, 2**18):
        content = sprite(noise, max_length)
        assert len(content["sprite"]) <= max_length
        assert content["size"][0] > side / 8
    smooth = np.broadcast_to(np.uint8(7), shape)
    assert sprite(smooth, 2**20)["size"] == [side, side]


def test_a_frame_needs_no_warning(blobs):
    frame = pandas.DataFrame(blobs[0]).add_prefix("column ")
    assert make_report(quick(3).fit(frame), frame).startswith("<!DOCTYPE html>")


def test_what_is_no_model_is_refused(blobs):
    model = make_pipeline(StandardScaler(), quick(3)).fit(blobs[0])
    with pytest.raises(TypeError, match=r"pass pipeline\[-1\]"):
        make_report(model, blobs[0])
    page = make_report(model[-1], model[:-1].transform(blobs[0]))
    assert "<html" in page
    with pytest.raises(ValueError, match="max_points=0"):
        make_report(model[-1], blobs[0], max_points=0)
    with pytest.raises(ValueError, match="There are 2 sample_names for"):
        make_report(model[-1], model[:-1].transform(blobs[0]), sample_names=["a", "b"])
    with pytest.raises(ValueError, match=r"has 9, 7, but clusters are.* from 0 to 2"):
        make_report(model[-1], blobs[0], cluster_names={0: "a", 9: "b", 7: "c"})


def test_few_samples_and_one_cluster(few_digits):
    model = quick(1, reconstruction_weight=0.0).fit(few_digits[0])
    assert "Nothing was trained" in make_report(model, few_digits[0][:2])
    untrained = quick(2, fit_epochs=0, max_iter=0).fit(few_digits[0])
    assert "Nothing was trained" in make_report(untrained, few_digits[0][:1])


@pytest.mark.parametrize("max_iter", [0, 1])
def test_what_had_no_joint_phase_has_not_failed_to_converge(max_iter, blobs):
    model = quick(3, max_iter=max_iter).fit(blobs[0])
    assert ("<dt>converged</dt>" in make_report(model, blobs[0])) == bool(max_iter)


def test_an_unfitted_model_is_refused(few_digits):
    with pytest.raises(NotFittedError):
        make_report(DEPICTClustering(), few_digits[0])


def test_command(fitted, few_digits, tmp_path, capsys):
    fitted.save(tmp_path / "model.skdepict")
    np.savez(tmp_path / "X.npz", X=few_digits[0], y=few_digits[1])
    files = [str(tmp_path / name) for name in ("model.skdepict", "X.npz", "out.html")]
    result = subprocess.run(
        [sys.executable, "-m", "skdepict.report", *files[:2], "--out", files[2]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "MiB" in result.stdout
    assert result.stderr == ""
    assert (tmp_path / "out.html").read_text() == make_report(fitted, few_digits[0])


@pytest.mark.parametrize("broken", ["model", "samples", "names", "cut", "csv", "out"])
def test_command_says_what_is_wrong(broken, fitted, few_digits, tmp_path, capsys):
    fitted.save(tmp_path / "model.skdepict")
    arrays = {"a": few_digits[0], "b": few_digits[1]}
    if broken != "names":
        arrays = {"X": few_digits[0][:, :5] if broken == "samples" else few_digits[0]}
    np.savez(tmp_path / "X.npz", **arrays)
    if broken == "model":
        (tmp_path / "model.skdepict").write_bytes(b"no model")
    if broken == "cut":
        (tmp_path / "X.npz").write_bytes((tmp_path / "X.npz").read_bytes()[:100])
    samples = "X.npz"
    if broken == "csv":
        samples = "X.csv"
        (tmp_path / samples).write_text("1,2")
    out = tmp_path / ("missing/out.html" if broken == "out" else "out.html")
    with pytest.raises(SystemExit) as exited:
        main(
            [
                *(str(tmp_path / n) for n in ("model.skdepict", samples)),
                "--out",
                f"{out}",
            ]
        )
    assert exited.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("python -m skdepict.report: ")
    assert message.count("\n") == 1
    assert not list(tmp_path.glob("*out.html*"))
