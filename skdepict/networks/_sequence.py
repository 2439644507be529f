"""A 1-D convolutional autoencoder for series."""

from torch import nn
from torch.nn.utils import skip_init

from skdepict.networks._base import Autoencoder
from skdepict.networks._conv import LARGEST_LAST_MAP, N_MAPS, strided_layer


class SequenceAutoencoder(Autoencoder):
    """Strided 1-D convolutions and a dense tanh embedding, mirrored by the decoder.

    Parameters
    ----------
    input_shape : tuple (n_channels, length)
        The shape of one series.
    embedding_dim : int
        Units of the embedding.
    """

    def __init__(self, input_shape, embedding_dim):
        channels, length = input_shape
        encoder, decoder = [], []
        while len(encoder) < 2 or length > LARGEST_LAST_MAP:
            kernel_size, stride, padding, next_length = strided_layer(length)
            geometry = {"kernel_size": kernel_size, "stride": stride}
            geometry["padding"] = padding
            encoder.append(
                nn.Sequential(
                    skip_init(nn.Conv1d, channels, N_MAPS, **geometry),
                    nn.LeakyReLU(0.01),
                )
            )
            decoder.append(
                nn.Sequential(
                    skip_init(nn.ConvTranspose1d, N_MAPS, channels, **geometry),
                    nn.LeakyReLU(0.01) if decoder else nn.Identity(),
                )
            )
            channels, length = N_MAPS, next_length
        n_units = channels * length
        encoder.append(
            nn.Sequential(
                nn.Flatten(), skip_init(nn.Linear, n_units, embedding_dim), nn.Tanh()
            )
        )
        decoder.append(
            nn.Sequential(
                skip_init(nn.Linear, embedding_dim, n_units),
                nn.LeakyReLU(0.01),
                nn.Unflatten(1, (channels, length)),
            )
        )
        super().__init__(encoder, decoder[::-1])
