"""The example of a service, asked for clusters."""

import io
import runpy
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
EXAMPLE = Path(__file__).parents[2] / "examples" / "serve_model.py"


@pytest.fixture(scope="module")
def service(fitted, tmp_path_factory):
    file = tmp_path_factory.mktemp("service") / "model.onnx"
    fitted.export_onnx(file)
    example = runpy.run_path(str(EXAMPLE))
    with example["make_server"](str(file)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield example["ask"], server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_service_says_what_predict_says(service, fitted, few_digits):
    ask, port = service
    with ThreadPoolExecutor(4) as threads:
        parts = np.array_split(few_digits[0], 10)
        answers = list(threads.map(lambda part: ask(port, part), parts))
    labels = np.concatenate([answer["labels"] for answer in answers])
    np.testing.assert_array_equal(labels, fitted.predict(few_digits[0]))
    confidence = np.concatenate([answer["confidence"] for answer in answers])
    expected = fitted.predict_proba(few_digits[0]).max(axis=1)
    np.testing.assert_allclose(confidence, expected, atol=1e-4)


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "body",
    [b"no array", saved(np.array([{"a": 1}], dtype=object)), saved(np.zeros((2, 3)))],
)
def test_what_is_no_image_is_refused(service, few_digits, body):
    ask, port = service
    with pytest.raises(HTTPError, match="400") as caught:
        urlopen(f"http://127.0.0.1:{port}", body, timeout=60)
    caught.value.close()
    assert len(ask(port, few_digits[0][:3])["labels"]) == 3


@pytest.mark.parametrize("length", [str(2**40), "-1", "many"])
def test_too_much_is_refused_unread(service, length):
    connection = HTTPConnection("127.0.0.1", service[1], timeout=60)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
