"""Gradient descent with averaged momentum on the patch network, in the reference setting."""

import torch
import torch.nn.functional as F

GAMMA, ETA = 0.99, 0.5


def problem(dtype):
    generator = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=dtype)
    signs = torch.where(normal(100) > 0, 1.0, -1.0).to(dtype)
    inputs = 0.2 * normal(100, 2, 100)
    inputs[..., 0] = 0
    inputs[:, 0] = 0
    inputs[:, 0, 0] = signs * torch.where(torch.arange(100) < 10, 0.2, 2.0).to(dtype)
    return inputs, signs, 0.1 * normal(5, 100)


def gdm_autograd(steps):
    inputs, signs, start = problem(torch.float32)

    def run():
        weights = start.clone().requires_grad_()
        average = torch.zeros_like(weights)
        for _ in range(steps):
            outputs = ((inputs @ weights.T) ** 3).sum(dim=(1, 2))
            loss = F.softplus(-signs * outputs).mean()
            (gradient,) = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                average.mul_(GAMMA).add_(gradient, alpha=1 - GAMMA)
                weights.sub_(average, alpha=ETA)

    return run


def gdm_closed(steps):
    inputs, signs, start = problem(torch.float64)
    rows = inputs.reshape(200, 100)

    @torch.no_grad()
    def run():
        weights = start.clone()
        average = torch.zeros_like(weights)
        for _ in range(steps):
            responses = rows @ weights.T
            squares = responses * responses
            wrong = -signs * (squares * responses).reshape(100, 10).sum(dim=1)
            F.softplus(wrong).mean()
            slopes = -signs * torch.sigmoid(wrong) * 0.03
            gradient = (squares * slopes.repeat_interleave(2)[:, None]).T @ rows
            average.mul_(GAMMA).add_(gradient, alpha=1 - GAMMA)
            weights.sub_(average, alpha=ETA)

    return run


CASES = {f.__name__: f for f in (gdm_autograd, gdm_closed)}
