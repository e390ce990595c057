"""The trainable range of an equilibrium layer near its edge, in PyTorch.

The protocol of the example `deq_init`, written again to see how far six seeds carry: handwritten digits,
z = phi(z W^T + x U^T + b) of width 128, plain iteration both ways with at most 40 steps, implicit gradients,
SGD with momentum for five epochs. Both families of a seed start from the same normal numbers and see the
same batches. Prints means over all seeds and the difference of every block of six.

Usage: deq_init.py [FIRST LAST] [last|best]; seeds 2 to 61 and the last iterate unless told, three minutes.
"""

import gzip
import pathlib
import sys

import numpy as np
import torch

WIDTH, BATCH, EPOCHS, STEPS, TOLERANCE = 128, 128, 5, 40, 1e-3
EDGES = (("tanh", torch.tanh, 1.6), ("ReLU", torch.relu, 1.4))


def digits():
    folder = pathlib.Path(__file__).parents[2] / "datasets" / "data"

    def read(name, header):
        return np.frombuffer(gzip.open(folder / name).read(), np.uint8, offset=header)

    labels = read("digits-labels-idx1-ubyte.gz", 8)
    images = read("digits-images-idx3-ubyte.gz", 16).reshape(len(labels), 64).astype(float)
    images = (images - images.mean(0)) / (images.std(0) + 1e-6)
    order = np.random.default_rng(0).permutation(len(labels))
    images = torch.tensor(images[order], dtype=torch.float32)
    labels = torch.tensor(labels[order].astype(np.int64))
    return (images[:1437], labels[:1437]), (images[1437:], labels[1437:])


def solve(f, z, best):
    """The last iterate after all steps, or that of least residual with a stop for the whole batch."""
    least, found = torch.full((len(z), 1), float("inf")), z
    for _ in range(STEPS):
        image = f(z)
        residual = (image - z).norm(dim=1) / (image.norm(dim=1) + 1e-9)
        better = residual[:, None] < least
        found = torch.where(better, image, found)
        least = torch.where(better, residual[:, None], least)
        z = image
        if best and residual.max() < TOLERANCE:
            break
    return found if best else z


def start(family, scale, rng):
    normal = rng.standard_normal((WIDTH, WIDTH))
    weight = scale * normal / WIDTH**0.5
    if family == "orthogonal":
        q, r = np.linalg.qr(normal)
        weight = scale * q * np.where(np.diag(r) < 0, -1, 1)
    inject = rng.standard_normal((WIDTH, 64)) / 8
    readout = rng.standard_normal((10, WIDTH)) / WIDTH**0.5
    values = (weight, inject, np.zeros(WIDTH), readout, np.zeros(10))
    return [torch.nn.Parameter(torch.tensor(v, dtype=torch.float32)) for v in values]


def train(phi, scale, family, seed, best, data):
    """Test accuracy; 0 if a state, gradient or parameter stops being finite."""
    (inputs, labels), (test_inputs, test_labels) = data
    rng = np.random.default_rng(seed)
    parameters = weight, inject, bias, readout, shift = start(family, scale, rng)
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    def state(x):
        u = x @ inject.T + bias
        with torch.no_grad():
            z = solve(lambda z: phi(z @ weight.T + u), torch.zeros(len(x), WIDTH), best)
        y = phi(z @ weight.T + u)
        if y.requires_grad:
            leaf = y.detach().requires_grad_()
            image = phi(leaf @ weight.T + u.detach())

            def adjoint(v):
                def step(g):
                    return torch.autograd.grad(image, leaf, g, retain_graph=True)[0] + v

                return solve(step, torch.zeros_like(v), best)

            y.register_hook(adjoint)
        return y

    for _ in range(EPOCHS):
        order = torch.from_numpy(rng.permutation(len(inputs)))
        for places in order.split(BATCH)[: len(inputs) // BATCH]:
            optimizer.zero_grad()
            y = state(inputs[places])
            loss = torch.nn.functional.cross_entropy(y @ readout.T + shift, labels[places])
            loss.backward()
            optimizer.step()
            seen = [loss, *(p.grad for p in parameters), *parameters]
            if not all(torch.isfinite(t).all() for t in seen):
                return 0.0
    with torch.no_grad():
        logits = state(test_inputs) @ readout.T + shift
    if not torch.isfinite(logits).all():
        return 0.0
    return (logits.argmax(1) == test_labels).float().mean().item()


def main():
    torch.set_num_threads(1)
    words = sys.argv[1:]
    best = "best" in words
    numbers = [int(word) for word in words if word.isdigit()]
    first, last = numbers or (2, 61)
    data = digits()
    for name, phi, scale in EDGES:
        accuracy = {
            family: np.array(
                [train(phi, scale, family, seed, best, data) for seed in range(first, last + 1)]
            )
            for family in ("orthogonal", "gaussian")
        }
        for family, values in accuracy.items():
            good = (values > 0.8).sum()
            print(f"{name} {family} at {scale}: {values.mean():.3f}, above 0.8: {good} of {len(values)}")
        difference = accuracy["orthogonal"] - accuracy["gaussian"]
        blocks = difference[: len(difference) // 6 * 6].reshape(-1, 6).mean(1)
        error = difference.std(ddof=1) / len(difference) ** 0.5
        print(f"  difference {difference.mean():.3f} +- {error:.3f}; blocks of six:", blocks.round(3))


if __name__ == "__main__":
    main()
