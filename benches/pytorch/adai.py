"""Adai in plain PyTorch operations, and PyTorch's own AdamW, on the same parameters."""

import torch

SIDE = 500


def layers(millions):
    values = torch.sin(torch.arange(SIDE * SIDE) * 0.7311).reshape(SIDE, SIDE)
    parameters = [torch.nn.Parameter(values.clone()) for _ in range(4 * millions)]
    for parameter in parameters:
        parameter.grad = values.clone()
    return parameters


def adai(millions, lr=1e-3, beta0=0.1, beta2=0.99, eps=1e-3):
    """Two loops over the parameters, moments in place, the mean read to the host."""
    parameters = layers(millions)
    size = sum(parameter.numel() for parameter in parameters)
    state = [[torch.zeros_like(p), torch.zeros_like(p), torch.ones_like(p)] for p in parameters]
    time = 0

    @torch.no_grad()
    def step():
        nonlocal time
        time += 1
        bias = 1 - beta2**time
        total = 0.0
        for parameter, (_, second, _) in zip(parameters, state):
            second.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            total += second.sum().item() / bias
        mean = total / size
        for parameter, (first, second, product) in zip(parameters, state):
            inertia = (1.0 - (second / bias / mean).mul(beta0)).clamp(0.0, 1 - eps)
            product.mul_(inertia)
            first.mul_(inertia).addcmul_(1 - inertia, parameter.grad)
            parameter.sub_(first / (1 - product) * lr)

    return step


def adamw(millions):
    optimizer = torch.optim.AdamW(layers(millions), lr=1e-3, foreach=True)
    return optimizer.step


CASES = {f.__name__: f for f in (adai, adamw)}
