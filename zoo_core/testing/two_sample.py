"""A statistic that tells two distributions apart."""

import torch
from torch import Tensor


def energy_distance(x: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, which is 0 for equal distributions and else above.

    It is returned in units of its mean for n independent draws x of the distribution of y, so that
    it is about 1 where x is such a sample (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018).

    Args:
        x: A sample, [n, D].
        y: Points of the distribution that it should have, [m, D].
        weights: Of those points, [m], summing to 1. Default: equal ones.
    """
    if weights is None:
        weights = torch.full_like(y[:, 0], 1.0 / len(y))
    between = (torch.cdist(x, y) @ weights).mean()
    within_x = torch.cdist(x, x).mean()
    within_y = weights @ torch.cdist(y, y) @ weights
    return (2.0 * between - within_x - within_y) * len(x) / within_y
