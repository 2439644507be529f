"""Our Adam is torch's, and loads nothing that training does not need."""

import subprocess
import sys

import torch

from skdepict._training.adam import Adam


def test_steps_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((3, 4), (5,), (2,))]
    ours, theirs = ([w.clone().requires_grad_() for w in start] for _ in range(2))
    adam, expected = Adam(ours, 0.1), torch.optim.Adam(theirs, lr=0.1, fused=True)
    for number in range(5):
        rate = 0.1 / (1 + number)
        adam.set_learning_rate(rate)
        expected.param_groups[0]["lr"] = rate
        for weights, optimizer in ((ours, adam), (theirs, expected)):
            optimizer.zero_grad()
            # The last one has a gradient from the third step on.
            used = weights[: 2 + (number > 1)]
            sum((w.sin() * (number + 1)).sum() for w in used).backward()
            optimizer.step()
    for weight, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(weight, other, rtol=0, atol=0)
    assert adam.state[2]["step"] == 3


def test_a_first_fit_does_not_load_the_compiler():
    program = (
        "import sys, numpy as np; from skdepict import DEPICTClustering\n"
        "X = np.random.default_rng(0).random((40, 8, 8))\n"
        "labels = [0, 1] * 20\n"
        "DEPICTClustering(2, init=labels, fit_epochs=1, max_iter=1).fit(X)\n"
        "print(sorted({'sympy', 'torch._dynamo'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
