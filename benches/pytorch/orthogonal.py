"""Kernel of an orthogonal 3x3 convolution in PyTorch, written down as the paper says it."""

import torch


def matrix(free, base):
    """(B exp(L - L^T))[:, :k] for one parameter."""
    size, columns = free.shape
    square = torch.zeros(size, size)
    square = torch.cat([free, square[:, columns:]], dim=1) if columns < size else free
    lower = torch.tril(square, -1)
    return (base @ torch.matrix_exp(lower - lower.T))[:, :columns]


def axis_taps(q, right, left):
    """Three taps of Q, one factor on the right and one on the left."""
    identity = torch.eye(len(q))
    p = right @ right.T
    taps = [q @ p, q @ (identity - p)]
    p = left @ left.T
    rest = identity - p
    return [rest @ taps[0], rest @ taps[1] + p @ taps[0], p @ taps[1]]


def orthogonal_kernel(channels, rotations, projections):
    """Composes the kernel from six parameters and differentiates it.

    The parameters are as large as a hundred steps of Adam with step size 1e-3 make ours: `rotations` and
    `projections` are their root mean squares below the diagonal, in millionths, which the other side
    measures and prints.
    """
    torch.manual_seed(0)
    columns = [channels, channels // 2, channels // 2] * 2
    sizes = [1e-6 * rotations, 1e-6 * projections, 1e-6 * projections] * 2
    frees = [
        torch.nn.Parameter(size * torch.randn(channels, k)) for size, k in zip(sizes, columns)
    ]
    bases = [torch.linalg.qr(torch.randn(channels, channels))[0] for _ in columns]
    cotangent = torch.sin(torch.arange(channels * channels * 9) * 0.5)
    cotangent = cotangent.reshape(channels, channels, 3, 3)

    def step():
        for free in frees:
            free.grad = None
        q0, r0, l0, q1, r1, l1 = (matrix(free, base) for free, base in zip(frees, bases))
        height, width = axis_taps(q0, r0, l0), axis_taps(q1, r1, l1)
        rows = [torch.stack([w @ h for w in width], dim=-1) for h in height]
        kernel = torch.stack(rows, dim=-2)
        (kernel * cotangent).sum().backward()

    return step


CASES = {"orthogonal_kernel": orthogonal_kernel}
