"""What the theorem says at initialisation, seen in seconds: τ = 1/√L keeps features and gradients bounded in depth.

Input N(0, 1), batch 4, 3×16×16, three seeds, float64 (without BN, τ = 1 reaches 1e15 at depth 206).
"""

import math
from statistics import fmean, linear_regression

import torch

from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw
from taunode.training.stability import measure

SEEDS = range(3)


def net_and_images(depth, norm, exponent, seed):
    torch.manual_seed(seed)
    tau = PowerLaw(1.0, exponent)
    net = CifarResNet(depth=depth, norm=norm, tau=tau, in_channels=3, image_size=16, classes=10)
    return net.double(), torch.randn(4, 3, 16, 16, dtype=torch.float64)


def stability(depth, norm, exponent, seed):
    net, images = net_and_images(depth, norm, exponent, seed)
    return measure(net, images, torch.randn(4, 10, dtype=torch.float64))


def log_growth(depth, exponent, seed):
    """log RMS(last stage)/RMS(stem) without normalisation."""
    return math.log(stability(depth, "none", exponent, seed).growth)


def slope_per_block(exponent):
    depths = [20, 56, 110, 206]
    means = [fmean(log_growth(depth, exponent, seed) for seed in SEEDS) for depth in depths]
    return linear_regression([(depth - 2) / 2 for depth in depths], means).slope


def test_without_bn_features_keep_their_size_at_inverse_sqrt():
    assert abs(slope_per_block(0.5)) < 0.005


def test_without_bn_features_explode_at_one():
    assert slope_per_block(0.0) > 0.2


def test_features_grow_more_slowly_the_larger_the_exponent():
    growth = [fmean(log_growth(56, exponent, seed) for seed in SEEDS) for exponent in (0.0, 0.25, 0.4, 0.5, 1.0)]
    assert growth == sorted(growth, reverse=True)


def log_stem_gradient(depth, exponent, seed):
    """log of the gradient's norm at the stem's convolution, for a random linear read-out of the logits, with BN."""
    return math.log(stability(depth, "batch", exponent, seed).stem_gradient)


def gradient_ratio(exponent):
    """Geometric mean over seeds of depth 206 against depth 20."""
    return math.exp(fmean(log_stem_gradient(206, exponent, s) - log_stem_gradient(20, exponent, s) for s in SEEDS))


def test_with_bn_the_stem_gradient_is_flat_in_depth_at_inverse_sqrt():
    assert 0.8 < gradient_ratio(0.5) < 1.6


def test_with_bn_the_stem_gradient_explodes_at_one():
    assert gradient_ratio(0.0) > 50
