//! Other optimizers beside it, clipping, several devices, misuse.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, Param, ParamGroup};
use burn::optim::{AdamWConfig, GradientsParams, MultiGradientsParams};
use burn::tensor::{DType, Device, Tensor};
use firebrick_optimizers::adai::{Adai, AdaiConfig, AdaiHandle, MeanScope};
use firebrick_optimizers::efld::EfldConfig;
use firebrick_optimizers::gradients::global_norm;

use crate::{Gradients, Model, all, assert_close, run_64, tensor};

const LR: f64 = 0.1;

fn init() -> Vec<Vec<f64>> {
    vec![vec![0.3, -0.7, 1.1], vec![2.0, 0.1]]
}

fn steps() -> Vec<Gradients> {
    let value = |t: usize, i: usize| (1.3 * t as f64 + 2.1 * i as f64).sin();
    (0..6)
        .map(|t| {
            all(&[(0..3).map(|i| value(t, i)).collect(), vec![value(t, 7), 9.0 * value(t, 8)]])
        })
        .collect()
}

fn follow(mut optimizer: Adai, mut model: Model, steps: &[Gradients]) -> Vec<Vec<f64>> {
    for step in steps {
        let gradients = model.gradients(step);
        model = optimizer.step(LR, model, gradients);
    }
    model.values()
}

#[test]
fn another_optimizer_beside_it_steps_once_and_is_not_in_the_mean() {
    let model = Model::new(&init(), DType::F64);
    let group = ParamGroup::from_ids(vec![model.rows[1].id]);
    let both = AdaiConfig::new().init().with_group(group.clone(), AdamWConfig::new().build(), None);
    let found = follow(both, model.clone(), &steps());
    // The same with Adai in the group of an AdamW.
    let inverse = ParamGroup::from_ids(vec![model.rows[0].id]);
    let optimizer = AdamWConfig::new().init().with_group(inverse, AdaiConfig::new().build(), None);
    assert_eq!(found, follow(Adai::from(optimizer), model, &steps()));

    let alone: Vec<Gradients> = steps().into_iter().map(|step| vec![step[0].clone()]).collect();
    assert_close(&found[..1], &run_64(&AdaiConfig::new(), &init()[..1], &alone, LR), 1e-12);
    let mut model = Model::new(&init()[1..], DType::F64);
    let mut adamw = AdamWConfig::new().init();
    for step in steps() {
        let gradients = model.gradients(&step[1..].to_vec());
        model = adamw.step(LR, model, gradients);
    }
    assert_eq!(found[1..], model.values());
}

/// The first pass must neither draw noise nor number parameters.
#[test]
fn noise_beside_it_is_that_of_the_noisy_optimizer_alone() {
    let values = vec![vec![0.3, -0.7], vec![2.0, 0.1], vec![2.0, 0.1]];
    let model = Model::new(&values, DType::F64);
    let noisy = EfldConfig::sgld().with_seed(3);
    let group = ParamGroup::from_ids(vec![model.rows[1].id, model.rows[2].id]);
    let mut both = AdaiConfig::new().init().with_group(group, noisy.build(), None);
    let (mut beside, mut alone) = (model.clone(), Model { rows: model.rows[1..].to_vec() });
    let mut optimizer = noisy.init();
    for step in 0..4 {
        let gradient = |row: usize| Some(vec![(step as f64).sin(), row as f64]);
        beside = both.step(LR, beside.clone(), beside.gradients(&(0..3).map(gradient).collect()));
        let of_alone = alone.gradients(&(1..3).map(gradient).collect());
        alone = optimizer.step(LR, alone, of_alone);
    }
    assert_eq!(beside.values()[1..], alone.values());
    assert_ne!(alone.values(), values[1..]);
}

#[test]
fn clipping_by_value_or_norm_comes_before_the_mean() {
    let clipped = |f: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<Gradients> {
        let row = |row: &Option<Vec<f64>>| row.as_deref().map(f);
        steps().iter().map(|step| step.iter().map(row).collect()).collect()
    };
    let by_value = clipped(&|row| row.iter().map(|g| g.clamp(-0.5, 0.5)).collect());
    let config = AdaiConfig::new();
    let clip = |clipping| config.clone().with_grad_clipping(Some(clipping));
    let found = run_64(&clip(GradientClippingConfig::Value(0.5)), &init(), &steps(), LR);
    assert_close(&found, &run_64(&config, &init(), &by_value, LR), 1e-12);
    let by_norm = clipped(&|row| {
        let norm = row.iter().map(|g| g * g).sum::<f64>().sqrt();
        row.iter().map(|g| g * (0.5 / norm).min(1.0)).collect()
    });
    let found = run_64(&clip(GradientClippingConfig::Norm(0.5)), &init(), &steps(), LR);
    assert_close(&found, &run_64(&config, &init(), &by_norm, LR), 1e-12);
}

#[test]
fn clipping_by_the_global_norm_scales_all_gradients_by_one_factor() {
    let max = 2.0;
    let scaled: Vec<Gradients> = steps()
        .into_iter()
        .map(|step| {
            let square: f64 = step.iter().flatten().flatten().map(|g| g * g).sum();
            let factor = (max / square.sqrt()).min(1.0);
            let row = |row: Vec<f64>| row.iter().map(|g| g * factor).collect();
            step.into_iter().map(|values| values.map(row)).collect()
        })
        .collect();
    assert!(scaled != steps(), "some step must be above the norm");
    let config = AdaiConfig::new().with_max_global_norm(Some(max));
    let expected = run_64(&AdaiConfig::new(), &init(), &scaled, LR);
    assert_close(&run_64(&config, &init(), &steps(), LR), &expected, 1e-12);
    // Groups of other optimizers count as well.
    let model = Model::new(&init(), DType::F64);
    let group = ParamGroup::from_ids(vec![model.rows[1].id]);
    let beside = |adai: Adai| adai.with_group(group.clone(), AdamWConfig::new().build(), None);
    let found = follow(beside(config.init()), model.clone(), &steps());
    assert_close(&found, &follow(beside(AdaiConfig::new().init()), model, &scaled), 1e-12);
}

#[test]
fn global_norm_is_none_without_gradients_and_zero_for_zeros() {
    let model = Model::new(&init(), DType::F32);
    assert!(global_norm(&model, &GradientsParams::new()).is_none());
    let zeros = model.gradients(&all(&[vec![0.0; 3], vec![0.0; 2]]));
    let norm = global_norm(&model, &zeros).expect("gradients");
    assert_eq!(norm.into_scalar::<f32>(), 0.0);
    let config = AdaiConfig::new().with_max_global_norm(Some(1.0));
    let found = run_64(&config, &init(), &[all(&[vec![0.0; 3], vec![0.0; 2]])], LR);
    assert_eq!(found, init());
}

#[test]
fn a_step_without_any_gradient_changes_nothing() {
    let mut optimizer = AdaiConfig::adaiw().with_weight_decay(0.5).init();
    let model = Model::new(&init(), DType::F64);
    let model = optimizer.step(LR, model, GradientsParams::new());
    assert_eq!(model.values(), init());
    assert!(optimizer.states().is_empty() && optimizer.report().is_none());
}

#[test]
fn gradients_of_several_devices_add_up() {
    let run = |parts: usize| {
        let mut optimizer = AdaiConfig::new().init();
        let mut model = Model::new(&init(), DType::F64);
        for step in steps() {
            let device = Device::flex();
            let half = |step: &Gradients| -> Gradients {
                let row = |row: &Vec<f64>| row.iter().map(|g| g / parts as f64).collect();
                step.iter().map(|values| values.as_ref().map(row)).collect()
            };
            let grads =
                (0..parts).map(|_| (model.gradients(&half(&step)), device.clone())).collect();
            model = optimizer.step_multi(LR, model, MultiGradientsParams { grads });
        }
        model.values()
    };
    assert_close(&run(2), &run_64(&AdaiConfig::new(), &init(), &steps(), LR), 1e-12);
    assert_close(&run(1), &run(2), 1e-12);
}

#[test]
#[should_panic(expected = "call `Adai::step`, or in `TrainStep::optimize` `AdaiHandle::step`")]
fn a_step_without_the_first_pass_names_the_call_to_make() {
    let (mut optimizer, _) = AdaiConfig::new().init().into_parts();
    let model = Model::new(&init(), DType::F32);
    let gradients = model.gradients(&steps()[0]);
    optimizer.step(LR, model, gradients);
}

#[test]
fn a_mean_by_tensor_needs_no_first_pass() {
    let config = AdaiConfig::new().with_mean_scope(MeanScope::PerTensor);
    let (mut optimizer, _) = config.init().into_parts();
    let mut model = Model::new(&init(), DType::F64);
    for step in steps() {
        let gradients = model.gradients(&step);
        model = optimizer.step(LR, model, gradients);
    }
    assert_eq!(model.values(), run_64(&config, &init(), &steps(), LR));
}

#[test]
fn the_handle_makes_the_steps_of_a_module_optimizer() {
    let (mut optimizer, handle) = AdaiConfig::new().init().into_parts();
    let outside: AdaiHandle = handle.clone();
    let mut model = Model::new(&init(), DType::F64);
    for step in steps() {
        let gradients = model.gradients(&step);
        model = handle.step(&mut optimizer, LR, model, gradients);
    }
    assert_eq!(model.values(), run_64(&AdaiConfig::new(), &init(), &steps(), LR));
    assert!(outside.report().expect("shared with the clone").mean > 0.0);
}

#[test]
fn a_step_that_panicked_leaves_the_thread_usable() {
    let mut optimizer = AdaiConfig::new().init();
    let model = Model::new(&init(), DType::F64);
    let gradients = model.gradients(&steps()[0]);
    let failed = catch_unwind(AssertUnwindSafe(|| {
        optimizer.step(f64::NAN, model.clone(), gradients);
    }));
    let message = failed.expect_err("NaN is no learning rate");
    let message = message.downcast_ref::<String>().expect("a sentence");
    assert_eq!(message, "Adai: lr must be at least 0 and finite, got NaN");
    let found = follow(AdaiConfig::new().init(), model, &steps());
    assert_eq!(found, run_64(&AdaiConfig::new(), &init(), &steps(), LR));
}

#[test]
fn clones_step_in_parallel_without_seeing_each_other() {
    let expected = run_64(&AdaiConfig::new(), &init(), &steps(), LR);
    let optimizer = AdaiConfig::new().init();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let optimizer = optimizer.clone();
            let expected = &expected;
            scope.spawn(move || {
                for _ in 0..20 {
                    let model = Model::new(&init(), DType::F64);
                    assert_eq!(&follow(optimizer.clone(), model, &steps()), expected);
                }
            });
        }
    });
    assert!(optimizer.report().is_none(), "a clone's report is its own");
}

#[test]
fn parameters_of_another_rank_are_stepped_and_stay_trainable() {
    #[derive(Module, Debug)]
    struct Table {
        table: Param<Tensor<2>>,
    }
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let table = tensor(&values, [2, 3], DType::F32);
    let trainable = Tensor::from_inner(table.clone()).require_grad();
    let module = Table { table: Param::from_tensor(trainable) };
    let mut gradients = GradientsParams::new();
    gradients.register(module.table.id, table);
    let module = AdaiConfig::new().init().step(0.5, module, gradients);
    assert!(module.table.val().is_require_grad());
    let found: Vec<f64> = module.table.val().into_data().iter::<f64>().collect();
    assert_close(&[found], &[values.iter().map(|x| 0.5 * x).collect()], 1e-6);
}

fn panic_of(config: AdaiConfig) -> String {
    let panic = catch_unwind(|| config.init()).expect_err("must be refused");
    match panic.downcast_ref::<String>() {
        Some(message) => message.clone(),
        None => (*panic.downcast_ref::<&str>().expect("a sentence")).to_string(),
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let c = AdaiConfig::new;
    for (config, expected) in [
        (c().with_beta_0(-0.1), "beta_0 must be at least 0 and finite, got -0.1"),
        (c().with_beta_0(f64::INFINITY), "beta_0 must be at least 0 and finite, got inf"),
        (c().with_beta_2(1.0), "beta_2 must be in [0, 1), got 1"),
        (c().with_beta_2(-0.5), "beta_2 must be in [0, 1), got -0.5"),
        (c().with_epsilon(0.0), "epsilon must be in (0, 1], got 0"),
        (c().with_epsilon(1.5), "epsilon must be in (0, 1], got 1.5"),
        (c().with_weight_decay(-1.0), "weight_decay must be at least 0 and finite, got -1"),
        (c().with_dampening(1.1), "dampening must be in [0, 1], got 1.1"),
        (c().with_dampening(f64::NAN), "dampening must be in [0, 1], got NaN"),
        (c().with_max_global_norm(Some(0.0)), "max_global_norm must be positive, got 0"),
        (
            c().with_max_global_norm(Some(1.0))
                .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))),
            "choose one of grad_clipping and max_global_norm",
        ),
    ] {
        let message = panic_of(config);
        assert!(message.contains(expected), "{message}");
    }
    // More inertia than none is not an error.
    c().with_beta_0(5.0).with_epsilon(1.0).init();
}
