"""A step of exponential family Langevin dynamics, noise included, in place."""

import torch

LR = 1e-3


def _tensors(parameters):
    positions = torch.arange(parameters, dtype=torch.float32) * 0.7311
    return torch.sin(positions), torch.sin(positions + 1.0) * 0.01, torch.empty(parameters)


def efld_sgld(parameters):
    w, g, noise = _tensors(parameters)
    sigma = LR * 0.1**0.5

    @torch.no_grad()
    def step():
        noise.normal_()
        w.add_(g, alpha=-LR).add_(noise, alpha=sigma)

    return step


def efld_sign(parameters):
    w, g, noise = _tensors(parameters)
    alpha = 0.01

    @torch.no_grad()
    def step():
        noise.uniform_()
        plus = noise < torch.sigmoid(g * (2.0 / alpha))
        w.add_(torch.where(plus, -LR, LR))

    return step


def efld_ternary(parameters):
    w, g, noise = _tensors(parameters)
    alpha = 0.01
    levels = torch.tensor([-1.0, 0.0, 1.0])

    @torch.no_grad()
    def step():
        noise.uniform_()
        probabilities = torch.softmax((g / alpha).unsqueeze(1) * levels, dim=1)
        cumulative = probabilities.cumsum(dim=1)[:, :-1]
        index = (cumulative <= noise.unsqueeze(1)).sum(dim=1)
        w.add_(levels[index], alpha=-LR)

    return step


CASES = {f.__name__: f for f in (efld_sgld, efld_sign, efld_ternary)}
