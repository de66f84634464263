"""A conditional variational autoencoder over actions (arXiv:1312.6114), as BCQ uses it.

Fujimoto et al. 2019, arXiv:1812.02900: the encoder gives a Gaussian over a latent of twice the
action's size, the decoder an action in [-1, 1]; sampling clips the latent, so that actions stay
where the data are dense.
"""

from typing import Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core.config import Config
from zoo_core.data import Space
from zoo_core.nn import MLP, Activation, widths
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec


class VAEConfig(Config):
    """Settings of the sampler `vae`."""

    hidden: PositiveInt | tuple[PositiveInt, ...] = 750
    """Width of every hidden layer of encoder and decoder, or one width for each."""
    layers: NonNegativeInt = 2
    """Number of hidden layers of each."""
    activation: Activation = "relu"
    """Between the layers."""
    latent_dim: PositiveInt | None = None
    """Size of the latent. Default: twice the action's."""
    latent_clip: PositiveFloat | None = 0.5
    """Bound of each latent number when sampling. If None, unbounded."""
    min_log_std: float = -4.0
    """Lower bound of the encoder's log standard deviation."""
    max_log_std: float = 15.0
    """Upper bound of the encoder's log standard deviation."""
    kl_weight: NonNegativeFloat = 0.5
    """Weight of the divergence, averaged over latent dimensions, beside the squared error. With
    `reduction=sum` and a weight of 2 v L, nll is 2 v times the negative ELBO of a decoder of
    variance v, up to a constant; L is the latent's size."""
    reduction: Literal["mean", "sum"] = "mean"
    """How squared errors of action dimensions become one number."""

    @model_validator(mode="after")
    def _fitting(self) -> "VAEConfig":
        widths(self.hidden, self.layers)
        if self.min_log_std >= self.max_log_std:
            raise ValueError("min_log_std must be below max_log_std")
        return self


class VAE(nn.Module):
    """q(z | s, a) = N(mean, diag(std^2)), a decoder tanh(net(s, z)) and the prior N(0, I)."""

    def __init__(self, config: VAEConfig, space: Space) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim or 2 * space.action_dim

        def network(second: int, outputs: int) -> MLP:
            sizes = (space.observation_dim, second)
            return MLP(sizes, outputs, config.hidden, config.layers, config.activation)

        self.encoder = network(space.action_dim, 2 * self.latent_dim)
        self.decoder = network(self.latent_dim, space.action_dim)

    def encode(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z | s, a), each [B, L], of [B, O] and [B, A]."""
        mean, log_std = self.encoder(observations, actions).chunk(2, -1)
        return mean, log_std.clamp(self.config.min_log_std, self.config.max_log_std)

    def decode(self, observations: Tensor, latents: Tensor) -> Tensor:
        """Actions [..., B, A] for observations [B, O] and latents [..., B, L]."""
        output: Tensor = self.decoder(observations, latents)
        return output.tanh()

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A] decoded from the clipped prior."""
        latents = noise.normal(n, observations.shape[0], self.latent_dim)
        if self.config.latent_clip is not None:
            latents = latents.clamp(-self.config.latent_clip, self.config.latent_clip)
        return self.decode(observations, latents)

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """Negative ELBO [B]: squared error of one decoded latent plus the weighted divergence."""
        mean, log_std = self.encode(observations, actions)
        latents = mean + log_std.exp() * noise.normal(*mean.shape)
        error = (self.decode(observations, latents) - actions).square()
        error = error.mean(-1) if self.config.reduction == "mean" else error.sum(-1)
        return error + self.config.kl_weight * divergence(mean, log_std).mean(-1)


def divergence(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(0, 1)) of each dimension (arXiv:1312.6114, appendix B)."""
    kl: Tensor = 0.5 * (mean.square() + torch.expm1(2 * log_std) - 2 * log_std)
    return kl


SPEC = SamplerSpec("vae", VAEConfig, VAE, "Kingma and Welling 2014, arXiv:1312.6114; 1812.02900")
