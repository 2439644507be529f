"""The small PyTorch variant: batch norm and sigmoid after every convolution."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from skdepict.networks._base import Autoencoder
from skdepict.networks._convolutions import Conv2d, ConvTranspose2d
from skdepict.networks._losses import reconstruction_loss

N_MAPS = 64


class SigmoidConvAutoencoder(Autoencoder):
    """Three 3x3 convolutions and a 2x2 one of stride 2, each with sigmoid outputs.

    The code is one map of half the image side, flattened, so the embedding's size
    follows from the image. The loss is binary cross-entropy at the input plus 0.8
    times the squared errors between hidden layers, and Q is computed within each
    batch.

    Parameters
    ----------
    input_shape : tuple (n_channels, height, width)
        The shape of one image.
    """

    input_range = (0.0, 1.0)
    target_within_batch = True

    def __init__(self, input_shape: Sequence[int]) -> None:
        channels, height, width = input_shape
        code_shape = (1, height // 2, width // 2)
        odd_sides = (height % 2, width % 2)
        encoder = [
            _block(Conv2d(channels, N_MAPS, 3, padding=1), N_MAPS),
            _block(Conv2d(N_MAPS, N_MAPS, 3, padding=1), N_MAPS),
            _block(Conv2d(N_MAPS, 1, 3, padding=1), 1),
            _block(Conv2d(1, 1, 2, stride=2), 1).append(nn.Flatten()),
        ]
        up = ConvTranspose2d(1, 1, 2, stride=2, output_padding=odd_sides)
        decoder = [
            _block(up, 1).insert(0, nn.Unflatten(1, code_shape)),
            _block(Conv2d(1, N_MAPS, 3, padding=1), N_MAPS),
            _block(Conv2d(N_MAPS, N_MAPS, 3, padding=1), N_MAPS),
            _block(Conv2d(N_MAPS, channels, 3, padding=1), channels),
        ]
        super().__init__(encoder, decoder)

    def reconstruction_loss(self, decoded: list[Tensor], clean: list[Tensor]) -> Tensor:
        """Binary cross-entropy at the input, 0.8 x squared error at hidden layers.

        Parameters
        ----------
        decoded, clean : list of tensor
            As in `Autoencoder`.

        Returns
        -------
        loss : scalar tensor
            With a gradient.
        """
        return reconstruction_loss(decoded, clean, 0.8, binary_cross_entropy)


def _block(convolution: nn.Module, n_maps: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(n_maps), nn.Sigmoid())
