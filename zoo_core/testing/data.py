"""Small deterministic data with every border case: unequal lengths, terminated and truncated."""

import torch

from zoo_core.data import OfflineData


def toy_data(
    episodes: int = 6, observation_dim: int = 3, action_dim: int = 2, seed: int = 0
) -> OfflineData:
    """Episodes of 4, 5, 6, ... transitions of a linear system whose reward falls with the
    distance from the origin; every other episode ends by truncation."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def episode(number: int) -> dict[str, torch.Tensor]:
        steps = 4 + number
        observations = [normal(observation_dim)]
        actions = (0.6 * normal(steps, action_dim)).clamp(-1.0, 1.0)
        mixing = torch.linspace(-1.0, 1.0, observation_dim * action_dim)
        mixing = mixing.view(action_dim, observation_dim)
        for action in actions:
            observations.append(0.9 * observations[-1] + 0.3 * action @ mixing)
        ends = torch.zeros(steps, dtype=torch.bool)
        ends[-1] = True
        none = torch.zeros(steps, dtype=torch.bool)
        stacked = torch.stack(observations)
        return {
            "observations": stacked,
            "actions": actions,
            "rewards": -stacked[1:].square().mean(-1),
            "terminations": ends if number % 2 else none,
            "truncations": none if number % 2 else ends,
        }

    return OfflineData.from_episodes([episode(e) for e in range(episodes)], name="toy")
