"""
Serving a model over HTTP
=========================

A small service that answers with the clusters of the images that it is sent. It needs
onnxruntime, and neither torch nor skdepict.

``pip install "skdepict[onnx]" onnxruntime``, then ``python examples/serve_model.py``,
which also measures what an image costs in each way of serving.
"""

# sphinx_gallery_thumbnail_path = "_static/examples/serve_model.png"

import io
import json
import multiprocessing
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from urllib.request import urlopen

import numpy as np
import onnxruntime

MAX_BYTES = 2**24


def make_server(model_file, port=0):
    """A server of labels and confidences for images that are posted as an .npy file."""
    session = onnxruntime.InferenceSession(model_file)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MAX_BYTES:
                self.close_connection = True
                error = f"Content-Length must be at most {MAX_BYTES} bytes."
                return self.answer(413, {"error": error})
            try:
                body = io.BytesIO(self.rfile.read(int(length)))
                # Without pickle: a file of it could run any code.
                images = np.load(body, allow_pickle=False).astype(np.float32)
                labels, probabilities = session.run(
                    ["labels", "probabilities"], {"samples": images}
                )
            except Exception as error:
                return self.answer(400, {"error": str(error)})
            confidence = probabilities.max(axis=1).tolist()
            self.answer(200, {"labels": labels.tolist(), "confidence": confidence})

        def answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def ask(port, images):
    """What the server answers."""
    body = io.BytesIO()
    np.save(body, images)
    with urlopen(f"http://127.0.0.1:{port}", body.getvalue(), timeout=60) as answer:
        return json.load(answer)


# %%
# In Python, a model is loaded once for each process: before its workers are forked, or
# by each spawned worker as it starts. Threads share one.


def load_in_worker(path):
    import torch

    import skdepict

    global MODEL
    # As many workers as cores, of one thread each.
    torch.set_num_threads(1)
    MODEL = skdepict.load(path)


def labels_of(images):
    return MODEL.predict(images)


def milliseconds(call, images, n_calls):
    """For an image, the median of five tries."""
    call(images)
    tries = []
    for _ in range(5):
        start = perf_counter()
        for _ in range(n_calls):
            call(images)
        tries.append((perf_counter() - start) / n_calls / len(images))
    return 1000 * np.median(tries)


def main():
    from sklearn.datasets import load_digits

    from skdepict import DEPICTClustering

    images = load_digits().images.astype(np.float32)
    folder = tempfile.TemporaryDirectory()
    saved, exported = (
        str(Path(folder.name) / name) for name in ("model.skdepict", "model.onnx")
    )
    model = DEPICTClustering(10, random_state=0).fit(images)
    model.save(saved)
    model.export_onnx(exported)
    expected = model.predict(images)

    server = make_server(exported)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    spawn = multiprocessing.get_context("spawn")
    workers = {"mp_context": spawn, "initializer": load_in_worker, "initargs": (saved,)}
    with (
        ThreadPoolExecutor(2) as threads,
        ProcessPoolExecutor(2, **workers) as processes,
    ):
        parts = [images[::2], images[1::2]]
        ways = {
            "predict": model.predict,
            "ONNX over HTTP": lambda images: np.array(ask(port, images)["labels"]),
        }
        for name, pool, function in (
            ("2 threads", threads, model.predict),
            ("2 processes", processes, labels_of),
        ):
            labels = list(pool.map(function, parts))
            np.testing.assert_array_equal(labels[0], expected[::2])
            start = perf_counter()
            for _ in range(5):
                list(pool.map(function, parts))
            cost = 1000 * (perf_counter() - start) / 5 / len(images)
            print(f"{name:<16}{'':>12}{cost:>10.4f} ms an image of {len(images)}")
        for name, call in ways.items():
            np.testing.assert_array_equal(call(images), expected)
            one = milliseconds(call, images[:1], 50)
            many = milliseconds(call, images, 1)
            print(f"{name:<16}{one:>8.2f} ms {many:>9.4f} ms an image of {len(images)}")
    server.shutdown()
    server.server_close()
    folder.cleanup()


if __name__ == "__main__":
    main()
