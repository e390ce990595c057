"""Equilibrium blocks in PyTorch: solvers on [batch, width] states, implicit gradient by a hook."""

import torch

NORM, TOLERANCE, STEPS, MEMORY = 0.9, 1e-4, 50, 6


def scattered(*shape):
    count = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64)
    return ((count * count * 0.6180339887498949) % 1.0 - 0.5).reshape(shape).float()


def relative(residual, image):
    return residual.norm(dim=1) / (image.norm(dim=1) + 1e-9)


class Best:
    """The state of least residual of each sample."""

    def __init__(self, start):
        self.state = start
        self.residual = torch.full((len(start), 1), float("inf"))

    def look(self, candidate, residual):
        better = residual[:, None] < self.residual
        self.state = torch.where(better, candidate, self.state)
        self.residual = torch.where(better, residual[:, None], self.residual)
        return residual.max().item() < TOLERANCE


def fixed_point(f, z):
    best = Best(z)
    for _ in range(STEPS):
        image = f(z)
        if best.look(image, relative(image - z, image)):
            break
        z = image
    return best.state


def anderson(f, z):
    batch, width = z.shape
    points = torch.zeros(batch, MEMORY, width)
    images = torch.zeros(batch, MEMORY, width)
    best = Best(z)
    border = torch.zeros(batch, MEMORY + 1, MEMORY + 1)
    border[:, 0, 1:] = border[:, 1:, 0] = 1
    right = torch.zeros(batch, MEMORY + 1, 1)
    right[:, 0] = 1
    for step in range(STEPS):
        slot = step % MEMORY
        points[:, slot] = z
        images[:, slot] = image = f(z)
        if best.look(image, relative(image - z, image)):
            break
        if step == 0:
            z = image
            continue
        n = min(step + 1, MEMORY)
        residuals = images[:, :n] - points[:, :n]
        gram = residuals @ residuals.transpose(1, 2)
        scale = gram.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
        border[:, 1 : n + 1, 1 : n + 1] = gram / scale + 1e-6 * torch.eye(n)
        weights = torch.linalg.solve(border[:, : n + 1, : n + 1], right[:, : n + 1])[:, 1:]
        z = (weights.transpose(1, 2) @ images[:, :n])[:, 0]
    return best.state


def broyden(f, z, memory=20):
    batch, width = z.shape
    us, vs = torch.zeros(batch, width, memory), torch.zeros(batch, memory, width)

    def times(vector):
        return -vector + (us @ (vs @ vector[:, :, None]))[:, :, 0]

    best = Best(z)
    image = f(z)
    value = image - z
    best.look(z, relative(value, image))
    direction = value
    for step in range(STEPS):
        new = z + direction
        image = f(new)
        new_value = image - new
        if best.look(new, relative(new_value, image)):
            break
        change, change_of_value = new - z, new_value - value
        v = -change + ((change[:, None, :] @ us) @ vs)[:, 0]
        u = (change - times(change_of_value)) / (v * change_of_value).sum(1, keepdim=True)
        slot = step % memory
        us[:, :, slot], vs[:, slot] = torch.nan_to_num(u), torch.nan_to_num(v)
        z, value = new, new_value
        direction = -times(value)
    return best.state


def case(solver):
    def prepare(width, batch, with_gradient):
        weight = scattered(width, width)
        weight = weight * (NORM / torch.linalg.matrix_norm(weight, 2))
        u = scattered(width, width) / width**0.5
        x = 4 * scattered(batch, width)
        if with_gradient:
            weight, u = torch.nn.Parameter(weight), torch.nn.Parameter(u)

        def forward():
            injected = x @ u.T
            with torch.no_grad():
                z = solver(lambda z: torch.tanh(z @ weight.T + injected), torch.zeros_like(x))
            if not with_gradient:
                with torch.no_grad():
                    return torch.tanh(z @ weight.T + injected)
            y = torch.tanh(z @ weight.T + injected)
            leaf = y.detach().requires_grad_()
            image = torch.tanh(leaf @ weight.T + injected)

            def hook(v):
                def adjoint(g):
                    return torch.autograd.grad(image, leaf, g, retain_graph=True)[0] + v

                return solver(adjoint, v)

            y.register_hook(hook)
            return y

        def step():
            y = forward()
            if with_gradient:
                weight.grad = u.grad = None
                y.square().mean().backward()

        return step

    return prepare


CASES = {
    "deq_fixed_point": case(fixed_point),
    "deq_anderson": case(anderson),
    "deq_broyden": case(broyden),
}
