"""A training step of a residual flow in the plane in PyTorch: orthogonal layers by matrix exponentials,
log-determinants by double backward passes through autograd."""

import math

import torch
import torch.nn.functional as F


class Orthogonal(torch.nn.Module):
    """0.98 (W x + b) with W from the first columns of B exp(L - L^T)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        long, short = max(inputs, outputs), min(inputs, outputs)
        self.wide = outputs < inputs
        self.free = torch.nn.Parameter(torch.zeros(long, short))
        self.bias = torch.nn.Parameter(torch.zeros(outputs))
        self.register_buffer("base", torch.linalg.qr(torch.randn(long, long))[0])

    def forward(self, x):
        long, short = self.free.shape
        lower = torch.tril(F.pad(self.free, (0, long - short)), -1)
        columns = (self.base @ torch.matrix_exp(lower - lower.T))[:, :short]
        weight = columns.T if self.wide else columns
        return 0.98 * F.linear(x, weight, self.bias)


class LipSwish(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.sharpness = torch.nn.Parameter(torch.tensor([0.5]))

    def forward(self, x):
        return x * torch.sigmoid(x * F.softplus(self.sharpness)) / 1.1


class Block(torch.nn.Module):
    def __init__(self, width, leading):
        super().__init__()
        layers = [LipSwish()] if leading else []
        for index, (inputs, outputs) in enumerate([(2, width), (width, width), (width, 2)]):
            layers += [LipSwish()] if index else []
            layers.append(Orthogonal(inputs, outputs))
        self.residual = torch.nn.Sequential(*layers)
        self.shift = torch.nn.Parameter(torch.zeros(2))
        self.log_scale = torch.nn.Parameter(torch.zeros(2))

    def forward(self, x, terms):
        x = x if x.requires_grad else x.requires_grad_()
        change = self.residual(x)
        product = lambda v, keep: torch.autograd.grad(change, x, v, create_graph=keep, retain_graph=True)[0]
        if terms is None:
            first, second = (product(torch.eye(2)[i].expand_as(x), True) for i in range(2))
            determinant = (1 + first[:, 0]) * (1 + second[:, 1]) - first[:, 1] * second[:, 0]
            log_det = determinant.log()
        else:
            probe = torch.randn_like(x)
            power, total = probe, probe
            for term in range(1, terms + 1):
                power = product(power, False)
                total = total + (-1) ** term * power
            log_det = (product(total, True) * probe).sum(1)
        y = (x + change + self.shift) * self.log_scale.exp()
        return y, log_det + self.log_scale.sum()


def flow_step(blocks, width, batch, terms):
    torch.manual_seed(0)
    model = torch.nn.ModuleList([Block(width, index > 0) for index in range(blocks)])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99))
    points = 3 * torch.sin(torch.arange(2 * batch) * 0.7311).reshape(batch, 2)

    def step():
        optimizer.zero_grad()
        x, log_det = points.clone(), 0
        for block in model:
            x, change = block(x, terms)
            log_det = log_det + change
        density = -0.5 * (x**2).sum(1) - math.log(2 * math.pi) + log_det
        (-density.mean()).backward()
        optimizer.step()

    return step


CASES = {
    "flow_exact": lambda blocks, width, batch, terms: flow_step(blocks, width, batch, None),
    "flow_neumann": flow_step,
}
