"""The losses that SOP is compared with, for `worker.py`."""

import math

import torch
import torch.nn.functional as F


def batch(size, classes, samples):
    indices = (torch.arange(size) * 389) % samples
    logits = torch.sin(torch.arange(size * classes) * 0.7311).reshape(size, classes)
    return indices, logits, indices % classes


def gce(size, classes, samples):
    _, logits, labels = batch(size, classes, samples)

    def step():
        z = logits.clone().requires_grad_()
        right = F.softmax(z, dim=1).gather(1, labels[:, None])
        ((1 - right**0.7) / 0.7).mean().backward()

    return step


def sce(size, classes, samples):
    _, logits, labels = batch(size, classes, samples)
    reverse = -math.log(1e-4) * (1 - F.one_hot(labels, classes).float())

    def step():
        z = logits.clone().requires_grad_()
        p = F.softmax(z, dim=1).clamp(1e-7, 1.0)
        (6.0 * F.cross_entropy(z, labels) + 0.1 * (p * reverse).sum(dim=1).mean()).backward()

    return step


def elr(size, classes, samples):
    indices, logits, labels = batch(size, classes, samples)
    target = torch.zeros(samples, classes)

    def step():
        z = logits.clone().requires_grad_()
        q = F.softmax(z, dim=1).clamp(1e-4, 1 - 1e-4)
        plain = q.detach()
        new = 0.9 * target[indices] + 0.1 * plain / plain.sum(dim=1, keepdim=True)
        target[indices] = new
        agreement = (1 - (new * q).sum(dim=1)).log().mean()
        (F.cross_entropy(z, labels) + 7.0 * agreement).backward()

    return step


CASES = {f.__name__: f for f in (gce, sce, elr)}
