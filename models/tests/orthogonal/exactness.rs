//! Singular values of dense Jacobians, inverses and adjoints.

use burn::tensor::{DType, Device, Tensor};
use firebrick_models::orthogonal::{
    OrthogonalConv1dConfig, OrthogonalConv2dConfig, OrthogonalConvTranspose1dConfig,
    OrthogonalLinearConfig, OrthogonalPadding,
};
use firebrick_ops::skew::Retraction;

use crate::support::*;

/// What rounding allows.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-12 } else { 2e-5 }
}

#[test]
fn two_hundred_random_configurations_have_singular_values_of_one() {
    let mut rng = rng(1);
    let (mut folded, mut smaller_than_kernel, mut worst) = (0, 0, [0.0f64; 2]);
    for case in 0..200 {
        let (mut config, image) = random_configuration(&mut rng);
        config.retraction = match case % 5 {
            0 => Retraction::Cayley,
            1 => Retraction::BoundedExponential { squarings: 2 },
            _ => Retraction::Exponential,
        };
        let fold = (0..2).any(|a| config.kernel_size[a] % config.stride[a] != 0);
        folded += usize::from(fold);
        smaller_than_kernel += usize::from((0..2).any(|a| image[a + 1] < config.kernel_size[a]));
        for (kind, dtype) in [DType::F64, DType::F32].into_iter().enumerate() {
            let layer = random_layer(&config, dtype, &mut rng);
            let matrix = jacobian(|x| layer.forward(x), image, dtype);
            let distance = distance_from_one(&matrix);
            worst[kind] = worst[kind].max(distance);
            assert!(
                distance < tolerance(dtype),
                "case {case}: {distance:e} for {config:?} on {image:?}"
            );
        }
    }
    println!(
        "{folded} folded, {smaller_than_kernel} images smaller than the kernel, worst {worst:?}"
    );
    assert!(folded > 20 && smaller_than_kernel > 20, "the sample misses a case");
}

#[test]
fn sixty_four_channels_in_32_bits_are_orthogonal_to_2e_5() {
    let mut rng = rng(2);
    for kernel in [3, 4] {
        let config = OrthogonalConv2dConfig::new([64, 64], [kernel; 2]).with_seed(Some(3));
        let layer = perturbed(config.init(&Device::flex()), 0.1, &mut rng);
        let distance = distance_from_one(&jacobian(|x| layer.forward(x), [64, 3, 3], DType::F32));
        println!("kernel {kernel}: {distance:e}");
        assert!(distance < 2e-5);
    }
}

#[test]
fn transposed_layers_are_the_adjoints_and_as_orthogonal() {
    let mut rng = rng(3);
    for _ in 0..40 {
        let (config, [channels, height, width]) = random_configuration(&mut rng);
        let device = Device::flex();
        let layer = random_layer(&config, DType::F64, &mut rng);
        let back = transposed(&config).init((&device, DType::F64));
        let back = back.import(&layer.export(), &Default::default()).unwrap();
        let x = normal([2, channels, height, width], &mut rng, DType::F64, &device);
        let y = layer.forward(x.clone());
        assert!(largest(back.forward(y.clone()) - layer.adjoint(y.clone())) < 1e-12);
        assert!(largest(back.adjoint(x) - y.clone()) < 1e-12);
        let small = y.dims();
        let distance = distance_from_one(&jacobian(
            |y| back.forward(y),
            [small[1], small[2], small[3]],
            DType::F64,
        ));
        assert!(distance < 1e-12, "{distance:e} for {config:?}");
    }
}

#[test]
fn adjoints_satisfy_their_identity_and_inverses_invert() {
    let mut rng = rng(4);
    let mut inverses = 0;
    for _ in 0..60 {
        let (config, [channels, height, width]) = random_configuration(&mut rng);
        for dtype in [DType::F64, DType::F32] {
            let layer = random_layer(&config.clone().with_bias(true), dtype, &mut rng);
            let linear = random_layer(&config, dtype, &mut rng);
            let x = normal([2, channels, height, width], &mut rng, dtype, &Device::flex());
            let output = linear.forward(x.clone());
            let y = normal(output.dims(), &mut rng, dtype, &Device::flex());
            let left = (output * y.clone()).sum().into_scalar::<f64>();
            let right = (x.clone() * linear.adjoint(y)).sum().into_scalar::<f64>();
            let close = if dtype == DType::F64 { 1e-11 } else { 1e-3 };
            assert!((left - right).abs() < close * (1.0 + left.abs()), "{left} {right}");
            let [inputs, outputs] = config.channels;
            if outputs >= inputs * config.stride[0] * config.stride[1] {
                inverses += 1;
                let error = norm(layer.inverse(layer.forward(x.clone())) - x.clone()) / norm(x);
                assert!(error < if dtype == DType::F64 { 1e-13 } else { 1e-5 }, "{error:e}");
            }
        }
    }
    assert!(inverses > 30, "the sample misses invertible layers");
}

#[test]
fn one_dimensional_layers_are_orthogonal_and_mutually_adjoint() {
    let mut rng = rng(5);
    let device = Device::flex();
    for (channels, kernel, stride, dilation, length) in [
        ([2, 3], 1, 1, 1, 5),
        ([3, 3], 2, 1, 3, 4),
        ([3, 2], 5, 1, 2, 3),
        ([2, 6], 6, 3, 1, 12),
        ([4, 2], 4, 2, 1, 2),
        ([1, 1], 7, 1, 1, 3),
    ] {
        let config = OrthogonalConv1dConfig::new(channels, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_seed(Some(1));
        let layer = perturbed(config.init((&device, DType::F64)), 1.0, &mut rng);
        let matrix = jacobian(
            |x| layer.forward(x.squeeze_dim(2)).unsqueeze_dim(2),
            [channels[0], 1, length],
            DType::F64,
        );
        assert!(distance_from_one(&matrix) < 1e-12);
        let back = OrthogonalConvTranspose1dConfig::new([channels[1], channels[0]], kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_seed(Some(1))
            .init((&device, DType::F64))
            .import(&layer.export(), &Default::default())
            .unwrap();
        let x: Tensor<3> = normal([1, channels[0], length], &mut rng, DType::F64, &device);
        let y = layer.forward(x.clone());
        assert!(largest(back.forward(y.clone()) - layer.adjoint(y.clone())) < 1e-13);
        assert!(largest(back.adjoint(x) - y) < 1e-13);
    }
}

#[test]
fn zero_padding_keeps_norms_or_only_bounds_them_as_documented() {
    let mut configurations = rng(6);
    for case in 0..40 {
        let (config, image) = random_configuration(&mut configurations);
        let config = config.with_groups(1);
        let columns = config.channels[0] * config.stride[0] * config.stride[1];
        let keeps = config.channels[1] >= columns;
        let values = |padding| {
            let config = config.clone().with_padding(padding);
            let layer = random_layer(&config, DType::F64, &mut rng(1000 + case));
            jacobian(|x| layer.forward(x), image, DType::F64).singular_values()
        };
        let full = values(OrthogonalPadding::Full);
        assert!(full.iter().all(|&value| value < 1.0 + 1e-12));
        if keeps {
            assert!(full.iter().all(|value| (value - 1.0).abs() < 1e-12), "{config:?}: {full:?}");
        }
        for padding in [OrthogonalPadding::Same, OrthogonalPadding::Explicit([9, 9])] {
            assert!(values(padding).iter().all(|&value| value < 1.0 + 1e-12));
        }
    }
}

#[test]
fn same_padding_with_a_single_tap_at_the_center_loses_nothing() {
    let layer = OrthogonalConv2dConfig::new([3, 3], [3, 5])
        .with_padding(OrthogonalPadding::Same)
        .with_seed(Some(1))
        .init((&Device::flex(), DType::F64));
    assert!(distance_from_one(&jacobian(|x| layer.forward(x), [3, 4, 4], DType::F64)) < 1e-12);
}

#[test]
fn adjoints_under_zero_padding_satisfy_their_identity() {
    let mut rng = rng(7);
    for padding in
        [OrthogonalPadding::Full, OrthogonalPadding::Same, OrthogonalPadding::Explicit([2, 0])]
    {
        for (kernel, stride) in [([3, 4], [1, 1]), ([4, 6], [2, 3])] {
            let config = OrthogonalConv2dConfig::new([2, 3], kernel)
                .with_stride(stride)
                .with_padding(padding)
                .with_seed(Some(2));
            let layer = random_layer(&config, DType::F64, &mut rng);
            let x = normal([2, 2, 6, 6], &mut rng, DType::F64, &Device::flex());
            let output = layer.forward(x.clone());
            let y = normal(output.dims(), &mut rng, DType::F64, &Device::flex());
            let found = layer.adjoint(y.clone());
            let left = (output * y.clone()).sum().into_scalar::<f64>();
            let right = (x * found).sum().into_scalar::<f64>();
            assert!((left - right).abs() < 1e-12 * (1.0 + left.abs()), "{padding:?} {kernel:?}");
            let back = transposed(&config).init((&Device::flex(), DType::F64));
            let back = back.import(&layer.export(), &Default::default()).unwrap();
            if padding != OrthogonalPadding::Full {
                assert!(largest(back.forward(y.clone()) - layer.adjoint(y)) < 1e-13);
            }
        }
    }
}

#[test]
fn transposed_layers_without_cropping_keep_norms() {
    let mut rng = rng(8);
    let config = OrthogonalConv2dConfig::new([2, 6], [4, 2])
        .with_stride([2, 2])
        .with_padding(OrthogonalPadding::Full)
        .with_seed(Some(2));
    let layer = perturbed(transposed(&config).init((&Device::flex(), DType::F64)), 1.0, &mut rng);
    let values = jacobian(|x| layer.forward(x), [6, 2, 3], DType::F64).singular_values();
    assert!((values[0] - 1.0).abs() < 1e-12, "six channels fit into eight: {values:?}");
    assert!(values.iter().all(|value| (value - 1.0).abs() < 1e-12));
    let x = normal([1, 6, 2, 3], &mut rng, DType::F64, &Device::flex());
    assert!(largest(layer.adjoint(layer.forward(x.clone())) - x) < 1e-13);
}

#[test]
fn linear_layers_have_orthonormal_rows_or_columns() {
    let mut rng = rng(9);
    for (inputs, outputs) in [(1, 1), (4, 4), (3, 5), (5, 3), (2, 30), (40, 3), (1, 7)] {
        for retraction in [Retraction::Exponential, Retraction::Cayley] {
            for dtype in [DType::F64, DType::F32] {
                let config = OrthogonalLinearConfig::new(inputs, outputs)
                    .with_retraction(retraction)
                    .with_bias(true)
                    .with_seed(Some(1));
                let layer = perturbed(config.init((&Device::flex(), dtype)), 1.0, &mut rng);
                let map = |x: Tensor<4>| {
                    let x = x.squeeze_dim::<3>(2).squeeze_dim::<2>(2);
                    let zero = layer.forward(x.zeros_like());
                    (layer.forward(x) - zero).unsqueeze_dim::<3>(2).unsqueeze_dim(2)
                };
                let distance = distance_from_one(&jacobian(map, [inputs, 1, 1], dtype));
                assert!(
                    distance < tolerance(dtype),
                    "{inputs} {outputs} {retraction:?}: {distance:e}"
                );
                let x: Tensor<3> = normal([2, 3, inputs], &mut rng, dtype, &Device::flex());
                if outputs >= inputs {
                    let error = largest(layer.inverse(layer.forward(x.clone())) - x);
                    assert!(error < 10.0 * tolerance(dtype));
                }
            }
        }
    }
}
