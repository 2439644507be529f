"""Adam, without what torch's optimisers import at their first step."""

import torch
from torch.optim.adam import adam

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
STATE = ("step", "exp_avg", "exp_avg_sq")


class Adam:
    """Adam (Kingma and Ba 2015), in one fused operation for all weights.

    :class:`torch.optim.Adam` loads torch's compiler, and sympy with it, at its first
    step: 800 modules, most of the time that a first fit waits. This calls the same
    function.

    Parameters
    ----------
    parameters : iterable of Parameter
    learning_rate : float or tensor
        Read at each step; a tensor is changed in place, since a graph of kernels reads
        it where it is.

    Attributes
    ----------
    parameters : list of Parameter
    learning_rate : float or tensor
    state : dict of int to dict of str to tensor
        "step", "exp_avg" and "exp_avg_sq" by the number of the weight, of those that
        have had gradients.
    """

    def __init__(self, parameters, learning_rate):
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.state = {}

    def set_learning_rate(self, value):
        """Set the learning rate of the next steps."""
        if isinstance(self.learning_rate, torch.Tensor):
            self.learning_rate.fill_(value)
        else:
            self.learning_rate = value

    def zero_grad(self):
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self):
        """Change the weights that have gradients."""
        numbers = [n for n, p in enumerate(self.parameters) if p.grad is not None]
        for number in numbers:
            if number not in self.state:
                self.state[number] = self.like(number)
        if not numbers:
            return
        weights = [self.parameters[number] for number in numbers]
        steps, means, squares = (
            [self.state[number][name] for number in numbers] for name in STATE
        )
        adam(
            weights,
            [weight.grad for weight in weights if weight.grad is not None],
            means,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=BETA_1,
            beta2=BETA_2,
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    def like(self, number):
        """The state of a weight before its first step."""
        weight = self.parameters[number]
        step = torch.zeros((), dtype=torch.float32, device=weight.device)
        moments = (torch.zeros_like(weight, requires_grad=False) for _ in range(2))
        return dict(zip(STATE, (step, *moments), strict=True))
