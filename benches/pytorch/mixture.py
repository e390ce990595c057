"""The Gaussian mixture of the example `sop` in PyTorch, over many mixtures.

    python benches/pytorch/mixture.py [--mixtures 15]
    python benches/pytorch/mixture.py --one-mixture 0 --seeds 3 --rows symmetric:0.4 --methods sop

Mean and standard deviation over the mixtures, each drawn anew with its noise and its network:
the numbers in `examples/sop/mixture_table.rs`. About twelve minutes on one core. With
`--one-mixture SEED` all runs share the samples of that mixture, and only noise and network differ.
"""

import argparse
import math
import statistics

import torch
import torch.nn.functional as F

EPS = 1e-4
CLASSES, DIM, TRAIN, TEST = 10, 32, 2000, 5000
EPOCHS, BATCH, LR = 60, 128, 0.02
NOISES = [("none", 0.0), ("symmetric", 0.2), ("symmetric", 0.4), ("symmetric", 0.6), ("pair", 0.3)]
METHODS = ["ce", "gce", "sop"]


def mixture(generator):
    centers = torch.randn(CLASSES, DIM, generator=generator)
    centers = 3.3 * centers / centers.norm(dim=1, keepdim=True)

    def draw(count):
        labels = torch.randint(0, CLASSES, (count,), generator=generator)
        return centers[labels] + torch.randn(count, DIM, generator=generator), labels

    return draw(TRAIN), draw(TEST)


def corrupt(labels, kind, rate, generator):
    flipped = torch.rand(len(labels), generator=generator) < rate
    step = 1 if kind == "pair" else 1 + torch.randint(0, CLASSES - 1, (len(labels),), generator=generator)
    return torch.where(flipped, (labels + step) % CLASSES, labels), flipped


def area_under_curve(scores, positive):
    """Mann-Whitney with average ranks."""
    _, inverse, counts = scores.double().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[inverse]
    hits = positive.sum().item()
    return (ranks[positive].sum().item() - hits * (hits + 1) / 2) / (hits * (len(scores) - hits))


def sop_loss(logits, given, u, v):
    wrong = (u * u * given).clamp(0, 1)
    other = (v * v * (1 - given)).clamp(0, 1)
    q = (F.softmax(logits, 1) + wrong - other.detach()).clamp_min(EPS)
    r = (q / q.sum(1, keepdim=True)).clamp(EPS, 1)
    hard = F.one_hot(logits.argmax(1), CLASSES).float()
    residual = hard + wrong - other - given
    return -(given * r.log()).sum(1).mean() + residual.square().sum() / len(logits)


def train(seed, kind, rate, method, shared=None):
    generator = torch.Generator().manual_seed(seed)
    (x, y), (x_test, y_test) = mixture(generator)
    if shared is not None:
        (x, y), (x_test, y_test) = mixture(torch.Generator().manual_seed(shared))
    noisy, flipped = corrupt(y, kind, rate, generator)
    torch.manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Linear(DIM, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU(),
        torch.nn.Linear(256, CLASSES),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, weight_decay=5e-4)
    u, v = torch.randn(TRAIN, 1) * 1e-2, torch.randn(TRAIN, CLASSES) * 1e-2
    steps, step, best = EPOCHS * (TRAIN // BATCH), 0, 0.0
    for _ in range(EPOCHS):
        order = torch.randperm(TRAIN)
        for start in range(0, TRAIN - BATCH + 1, BATCH):
            for group in optimizer.param_groups:
                group["lr"] = LR * 0.5 * (1 + math.cos(math.pi * step / steps))
            index = order[start : start + BATCH]
            logits, labels = net(x[index]), noisy[index]
            if method == "ce":
                loss = F.cross_entropy(logits, labels)
            elif method == "gce":
                right = F.softmax(logits, 1).gather(1, labels[:, None])
                loss = ((1 - right**0.7) / 0.7).mean()
            else:
                rows = u[index].requires_grad_(), v[index].requires_grad_()
                loss = sop_loss(logits, F.one_hot(labels, CLASSES).float(), *rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if method == "sop":
                with torch.no_grad():
                    u[index], v[index] = (row - 10 * row.grad for row in rows)
            step += 1
        with torch.no_grad():
            accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
        best = max(best, accuracy)
    result = {"accuracy": accuracy, "best": best}
    if method == "sop":
        result |= noise_report(u, v, noisy, y, flipped)
    return result


def noise_report(u, v, noisy, y, flipped):
    scores = u.square().clamp(0, 1)
    flagged = scores.squeeze(1) > 0.5
    given = F.one_hot(noisy, CLASSES)
    suggested = (given * (1 - scores) + v.square().clamp(0, 1) * (1 - given)).argmax(1)
    result = {
        "estimated": flagged.float().mean().item(),
        "right suggestions": (suggested == y).float().mean().item(),
    }
    if flipped.any():
        hits = (flagged & flipped).sum().item()
        result |= {
            "AUC": area_under_curve(scores.squeeze(1), flipped),
            "precision": hits / max(flagged.sum().item(), 1),
            "recall": hits / flipped.sum().item(),
        }
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mixtures", type=int, default=15, help="runs per row, each with its mixture")
    parser.add_argument("--one-mixture", type=int, metavar="SEED", help="share this mixture in all runs")
    parser.add_argument("--seeds", type=int, default=3, help="runs per row with --one-mixture")
    rows = [f"{kind}:{rate}" for kind, rate in NOISES]
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    args = parser.parse_args()
    shared = args.one_mixture
    count = args.mixtures if shared is None else args.seeds
    torch.set_num_threads(1)
    for row in args.rows:
        kind, rate = row.split(":")
        for method in args.methods:
            runs = [train(seed, kind, float(rate), method, shared) for seed in range(count)]
            for name in runs[0]:
                values = [run[name] for run in runs]
                mean, deviation = statistics.mean(values), statistics.stdev(values)
                print(f"{kind} {rate} {method} {name}: {mean:.4f} +- {deviation:.4f}", flush=True)


if __name__ == "__main__":
    main()
