"""The command line: folders, files, what it writes, and what it says on errors."""

import csv
import json
import os
import subprocess
import sys
import time
import zlib
from functools import partial
from html import escape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from skdepict import DEPICTClustering, __main__, load

# Windows has no file with such a name.
MARKUP = "<b>" if os.name != "nt" else "&b"
QUICK = {"fit_epochs": 2, "max_iter": 1}


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(
        __main__, "DEPICTClustering", partial(DEPICTClustering, **QUICK)
    )


@pytest.fixture
def pictures(tmp_path, few_digits):
    """60 digits of three kinds, saved in each way that pictures come in."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    images, y = few_digits
    chosen = [i for kind in range(3) for i in np.flatnonzero(y == kind)[:20]]
    for number, i in enumerate(chosen):
        pixels = (images[i] * 15).astype(np.uint8)
        grey, name = Image.fromarray(pixels), f"more/{number:02}"
        match number % 9:
            case 0:
                grey.save(folder / f"=1+{number:02}.png")
            case 1:
                grey.resize((20, 12)).save(folder / f"{name}{MARKUP}.jpg")
            case 2:
                Image.fromarray(pixels.astype(np.uint16) * 257).save(
                    folder / f"{name}.tif"
                )
            case 3:
                grey.convert("CMYK").save(folder / f"{name}.jpeg")
            case 4:
                other = [grey.rotate(90).convert("P")]
                grey.convert("P").save(
                    folder / f"{name}.gif", save_all=True, append_images=other
                )
            case 5:
                grey.convert("RGBA").save(folder / f"{name}.webp")
            case 6:
                exif = Image.Exif()
                exif[0x112] = 6
                grey.rotate(90, expand=True).save(folder / f"{name}.jpg", exif=exif)
            case 7:
                grey.save(folder / f"more%2F{number:02}.bmp")
            case 8:
                grey.save(folder / f"{name}.bmp")
    return folder


def run(*arguments):
    __main__.main([str(argument) for argument in arguments])


def fails(capsys, *arguments):
    """The one line that is said."""
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 1
    *_, line = capsys.readouterr().err.splitlines()
    return line


def rows_of(out):
    with (out / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_page_a_table_a_model_and_folders(pictures, tmp_path):
    out = tmp_path / "out"
    run(pictures, "--out", out, "--clusters", 3, "--folders", "copy")
    rows = rows_of(out)
    assert len(rows) == 60
    assert {int(row["cluster"]) for row in rows} <= {0, 1, 2}
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)
    assert all(0 <= float(row["typicality"]) < 1 for row in rows)
    # A spreadsheet takes none for a formula.
    assert rows[0]["file"].startswith("'=1+")
    model = load(out / "model.skdepict")
    assert [int(row["cluster"]) for row in rows] == model.labels_.tolist()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert escape(MARKUP) in page
    assert "<b>" not in page
    copies = sorted((out / "clusters").glob("*/*"))
    assert len(copies) == 60
    for copy in copies:
        name = unquote(copy.name)
        assert copy.read_bytes() == (pictures / name).read_bytes()
        (row,) = [row for row in rows if row["file"].lstrip("'") == name]
        assert copy.parent.name == row["cluster"]
    assert not list(out.glob(".*"))


def test_new_pictures_come_to_the_clusters_of_a_model(pictures, tmp_path):
    run(pictures, "--out", tmp_path / "a", "--clusters", 3)
    model = tmp_path / "a" / "model.skdepict"
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"0": "=zeros", "2": "a/../b"}))
    run(
        *(pictures / "more", "--out", tmp_path / "b", "--model", model),
        *("--names", names, "--folders", "link"),
    )
    rows, first = rows_of(tmp_path / "b"), rows_of(tmp_path / "a")
    clusters = {row["file"]: row["cluster"] for row in first}
    assert rows
    for row in rows:
        assert row["cluster"] == clusters["more/" + row["file"]]
        assert row["name"] == {"0": "'=zeros", "2": "a/../b"}.get(row["cluster"], "")
    links = [
        path for path in (tmp_path / "b" / "clusters").rglob("*.*") if path.is_symlink()
    ]
    assert len(links) == len(rows)
    assert {link.parent.parent.name for link in links} == {"clusters"}
    assert not (tmp_path / "b" / "model.skdepict").exists()


def test_folders_are_looked_at_before_anything_is_trained(
    pictures, tmp_path, blobs, capsys, monkeypatch
):
    monkeypatch.setattr(__main__, "DEPICTClustering", None)
    np.save(tmp_path / "X.npy", blobs[0])
    out = tmp_path / "out"
    said = fails(capsys, tmp_path / "X.npy", "--out", out, "--folders", "copy")
    assert "--folders needs a folder of pictures" in said
    (out / "clusters").mkdir()
    (out / "clusters" / "mine.txt").write_text("not to be lost")
    said = fails(capsys, pictures, "--out", out, "--folders", "copy")
    assert "clusters was not made by skdepict. Move it" in said
    assert (out / "clusters" / "mine.txt").exists()


def test_folders_that_cannot_hold_links_are_found_out_first(
    pictures, tmp_path, capsys, monkeypatch
):
    def refuse(path, target):
        raise OSError(1, "no rights")

    monkeypatch.setattr(__main__, "DEPICTClustering", None)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    said = fails(capsys, pictures, "--out", tmp_path / "out", "--folders", "link")
    assert "cannot hold links: no rights. Use --folders copy" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cats: big?", "cats%3A big%3F"),
        ("a/b\\c%", "a%2Fb%5Cc%25"),
        ("...", "..%2E"),
        (" ", "%20"),
        ("ends. ", "ends.%20"),
        ("é", "é"),
    ],
)
def test_names_are_such_as_every_system_takes(text, expected, tmp_path):
    assert __main__._file_name(text) == expected
    (tmp_path / expected).touch()


def test_long_names_are_shortened_and_stay_apart(tmp_path):
    names = {__main__._file_name(f"{n}{'é' * 300}.jpeg") for n in range(20)}
    assert len(names) == 20
    assert all(name.endswith(".jpeg") and len(name.encode()) < 255 for name in names)


def test_folders_of_an_earlier_run_are_replaced(pictures, tmp_path):
    out = tmp_path / "out"
    run(pictures, "--out", out, "--clusters", 3, "--folders", "copy")
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"0": "zeros"}), encoding="utf-8-sig")
    run(pictures, "--out", out, "--folders", "copy", "--names", names)
    folders = {path.name for path in (out / "clusters").iterdir() if path.is_dir()}
    assert "0 zeros" in folders
    assert "0" not in folders


def test_names_of_clusters_that_are_not_there_are_refused(pictures, tmp_path, capsys):
    out, names = tmp_path / "out", tmp_path / "names.json"
    names.write_text(json.dumps({"0": "zeros", "7": "sevens"}))
    arguments = pictures, "--out", out, "--clusters", 3, "--names", names
    said = fails(capsys, *arguments, "--folders", "copy")
    assert "has 7, but clusters are the integers from 0 to 2" in said
    assert not (out / "clusters").exists()
    # What was trained is not lost.
    assert (out / "model.skdepict").exists()


def test_phases_that_end_early_end_their_line(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress, fit = __main__._Progress(), SimpleNamespace(task_name="fit")
    fit.max_subtasks = 2
    progress.on_fit_task_begin(None, fit)
    for name, n_done in (("initialise", 2), ("joint", 1)):
        phase = SimpleNamespace(task_name=name, max_subtasks=2)
        epoch = SimpleNamespace(task_name="epoch", max_subtasks=0)
        progress.on_fit_task_begin(None, phase)
        for _ in range(n_done):
            progress.on_fit_task_begin(None, epoch)
            progress.on_fit_task_end(None, epoch)
        progress.on_fit_task_end(None, phase)
    progress.on_fit_task_end(None, fit)
    lines = capsys.readouterr().err.split("\n")
    assert [line.split("\r")[-1] for line in lines] == [
        "initialise 2 of 2 ",
        "joint 1 of 2 ",
        "",
    ]


def test_a_model_that_is_there_is_used(pictures, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(pictures, "--out", out, "--clusters", 3)
    before = (out / "labels.csv").read_bytes()
    (out / "labels.csv").unlink()
    monkeypatch.setattr(__main__, "DEPICTClustering", None)
    run(pictures, "--out", out)
    assert (out / "labels.csv").read_bytes() == before


def test_what_is_no_picture_is_named_and_left_out(pictures, tmp_path, capsys):
    (pictures / "text.png").write_text("no picture")
    (pictures / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    # What Windows leaves in a folder is none of the user's.
    (pictures / "Thumbs.db").write_text("no picture")
    with (pictures / "large.png").open("wb") as file:
        file.truncate(2**30 + 1)
    # A header that asks for 10 billion pixels.
    bomb = Image.new("L", (1, 1))
    bomb.save(pictures / "bomb.png")
    data = bytearray((pictures / "bomb.png").read_bytes())
    data[16:24] = (100_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    (pictures / "bomb.png").write_bytes(data)
    out = tmp_path / "out"
    run(pictures, "--out", out, "--clusters", 3)
    unread = (out / "unread.txt").read_text().splitlines()
    assert [line.split(" ")[0] for line in unread] == [
        *("bomb.png", "cut.jpg", "large.png", "text.png")
    ]
    assert "exceeds limit" in unread[0]
    assert "larger than 1 GiB" in unread[2]
    assert f"4 files are no pictures: {out / 'unread.txt'}" in capsys.readouterr().err
    assert len(rows_of(out)) == 60


def test_tables_are_scaled_as_the_model_saw_them(tmp_path, blobs, capsys):
    X, _ = blobs
    table = tmp_path / "table.csv"

    def write(rows, header="id,a,b", path=table):
        lines = [f"x{i},{a},{1000 * b}" for i, (a, b) in enumerate(rows[:, :2])]
        path.write_text("\n".join([header, *lines]) + "\n")

    write(X)
    out = tmp_path / "out"
    run(table, "--out", out, "--clusters", 3)
    rows = rows_of(out)
    assert [row["file"] for row in rows[:2]] == ["x0", "x1"]
    part = tmp_path / "part.csv"
    write(X[:10], path=part)
    run(part, "--out", tmp_path / "b", "--model", out / "model.skdepict")
    assert [row["cluster"] for row in rows_of(tmp_path / "b")] == [
        row["cluster"] for row in rows[:10]
    ]
    part.write_text(part.read_text().replace(",", ";"))
    run(part, "--out", tmp_path / "c", "--model", out / "model.skdepict")
    assert rows_of(tmp_path / "c") == rows_of(tmp_path / "b")
    write(X, header="id,a,c")
    assert "has the columns ['a', 'c'], the model was trained on ['a', 'b']" in fails(
        capsys, table, "--out", out
    )


def test_files_of_numpy_are_read(tmp_path, blobs):
    np.save(tmp_path / "X.npy", blobs[0])
    run(tmp_path / "X.npy", "--out", tmp_path / "out", "--clusters", 3)
    assert rows_of(tmp_path / "out")[7]["file"] == "7"


def test_embeddings_are_shown_as_the_pictures_they_are_of(pictures, tmp_path, capsys):
    files = sorted(path for path in pictures.rglob("*") if path.is_file())
    rows = np.random.default_rng(0).normal(size=(60, 20))
    rows[:20] += 3
    np.save(tmp_path / "X.npy", rows)
    out = tmp_path / "out"
    samples = tmp_path / "X.npy"
    run(
        samples,
        "--out",
        out,
        "--clusters",
        2,
        "--pictures",
        pictures,
        "--folders",
        "copy",
    )
    assert len(rows_of(out)) == len(files) == 60
    assert "<img" in (out / "report.html").read_text(encoding="utf-8")
    assert len(list((out / "clusters").glob("*/*"))) == 60
    (pictures / "one more.png").write_bytes(files[0].read_bytes())
    said = fails(capsys, samples, "--out", out, "--pictures", pictures)
    assert "has 61 pictures for 60 samples" in said


def test_each_error_is_one_line_that_says_what_to_do(pictures, tmp_path, blobs, capsys):
    out = tmp_path / "out"
    np.save(tmp_path / "X.npy", blobs[0])
    table, names = tmp_path / "t.csv", tmp_path / "names.json"
    table.write_text("a,b\n1,2\n3,\n")
    names.write_text("[]")
    cases = [
        (("nowhere", "--out", out), "There is no file or folder nowhere"),
        ((pictures, "--out", pictures / "out"), "is within"),
        ((table, "--out", out), "line 3 has '' as 'b', which must be a finite number"),
        ((pictures, "--out", out, "--names", names), "holds no names of clusters"),
        ((pictures, "--out", out, "--model", "none.skdepict"), "none.skdepict"),
        ((tmp_path / "X.npy", "--out", out, "--clusters", 999), "n_samples="),
    ]
    for arguments, said in cases:
        line = fails(capsys, *arguments)
        assert line.startswith("skdepict: ")
        assert said in line
    assert not (pictures / "out").exists()
    table.write_bytes("a,\xe9\n1,2\n3,4\n".encode("cp1252"))
    assert "is no text in UTF-8" in fails(capsys, table, "--out", out)
    table.write_text("a,b\n1,2\n3\n")
    assert "line 3 has 1 entries, the first one has 2" in fails(
        capsys, table, "--out", out
    )
    run(tmp_path / "X.npy", "--out", out, "--clusters", 3)
    assert "has 3 clusters, not 4. Choose another --out" in fails(
        capsys, tmp_path / "X.npy", "--out", out, "--clusters", 4
    )
    assert "--folders needs a folder of pictures" in fails(
        capsys, tmp_path / "X.npy", "--out", out, "--folders", "copy"
    )
    with pytest.raises(SystemExit) as stop:
        run(pictures, "--out", out, "--clusters", "many")
    assert stop.value.code == 2
    assert "'many' is neither 'auto' nor 1 or more" in capsys.readouterr().err


def test_help_fits_a_screen(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 88


def test_killed_it_goes_on_and_comes_to_the_same(tmp_path, few_digits):
    # Rows are trained on in a fraction of the time of images.
    np.save(tmp_path / "X.npy", few_digits[0][:120].reshape(120, -1))
    command = [sys.executable, "-m", "skdepict", tmp_path / "X.npy", "--clusters", "3"]
    start = partial(subprocess.Popen, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    process = start([*command, "--out", tmp_path / "a"])
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("a/.unfinished/*.checkpoint")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert not (tmp_path / "a" / "model.skdepict").exists()
    for out in ("a", "b"):
        process = start([*command, "--out", tmp_path / out])
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b")
