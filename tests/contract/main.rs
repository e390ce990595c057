//! What every optimizer of the workspace must do, on every backend.
//!
//! To add an optimizer, add a line to the table below: its name, its settings, and the learning
//! rate and distance for two functions, `learns((lr, tolerance), (lr, tolerance))` for a quadratic
//! and Rosenbrock's valley. Flags say what the optimizer's own contract changes. The settings need
//! `init()` (an optimizer of modules, see [`Contract`]) and `build()` (the bare optimizer of a
//! parameter group). `$FIREBRICK_DEVICES` chooses the devices, by default `flex`.
#![recursion_limit = "256"]

mod broken;
mod checks;
#[path = "../support/devices.rs"]
mod devices;
mod functions;
mod network;
mod subject;

use subject::{Contract, Subject, learns};

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, SgdConfig};
use firebrick::optimizers::adai::{AdaiConfig, MeanScope};
use firebrick::optimizers::averaged_momentum::AveragedMomentumConfig;
use firebrick::optimizers::efld::{EfldConfig, FiniteLevels, NoiseScale, Schedule};

/// One module per line, with one test per check.
macro_rules! contract {
    ($($name:ident: $config:expr, $expect:expr;)*) => {$(
        mod $name {
            use super::*;

            fn subject() -> Subject<impl Contract> {
                Subject {
                    init: || $config.init(),
                    grouped: |base, group| base.with_group(group, $config.build(), None).into(),
                    expect: $expect,
                }
            }

            contract!(@tests
                minimizes_a_quadratic
                minimizes_rosenbrock
                leaves_parameters_without_gradient_and_their_state_alone
                survives_gradients_of_zero
                takes_accumulated_gradients
                resumes_exactly_from_the_bytes_of_its_record
                works_the_same_in_a_group_as_alone
                moves_between_devices
                has_independent_clones
                stands_still_at_a_learning_rate_of_zero
                repeats_itself
            );
        }
    )*};
    (@tests $($check:ident)*) => {$(
        #[test]
        fn $check() {
            checks::everywhere(&subject(), checks::$check);
        }
    )*};
}

fn momentum() -> MomentumConfig {
    MomentumConfig::new().with_dampening(0.0)
}

/// Noise that falls with the steps, so that the minimum can be reached.
fn falling(initial: f64) -> Option<NoiseScale> {
    Some(NoiseScale::Alpha(Schedule::Power { initial, exponent: 0.5 }))
}

contract! {
    adai: AdaiConfig::new(), learns((0.15, 1e-2), (5e-3, 5e-3));
    adai_per_tensor: AdaiConfig::new().with_mean_scope(MeanScope::PerTensor),
        learns((0.1, 0.02), (3e-3, 5e-3));
    adai_v2: AdaiConfig::adai_v2(0.5), learns((0.05, 5e-3), (2e-3, 5e-3));
    adai_w: AdaiConfig::adaiw().with_weight_decay(1e-4), learns((0.15, 1e-2), (5e-3, 2e-2)).decays();
    adam: AdamConfig::new(), learns((0.1, 1e-3), (0.02, 5e-3));
    adam_w: AdamWConfig::new(), learns((0.1, 1e-3), (0.02, 5e-3)).decays();
    averaged_momentum: AveragedMomentumConfig::new(), learns((0.15, 1e-3), (5e-3, 5e-3));
    noisy_quantized_sgd:
        EfldConfig::quantized_sgd(FiniteLevels::ternary(1.0)).with_scale(falling(10.0)),
        learns((0.02, 0.25), (5e-4, 0.1)).adds_noise().numbers_parameters();
    noisy_sign_sgd: EfldConfig::sign_sgd().with_scale(falling(10.0)),
        learns((0.01, 0.25), (5e-4, 0.1)).adds_noise().numbers_parameters();
    sgd: SgdConfig::new(), learns((0.15, 1e-3), (2e-3, 5e-3));
    sgd_with_momentum: SgdConfig::new().with_momentum(Some(momentum())),
        learns((0.02, 1e-3), (2e-4, 5e-3));
    sgld: EfldConfig::sgld().with_scale(falling(1e-2)),
        learns((0.15, 1e-2), (2e-3, 1e-2)).adds_noise().numbers_parameters();
}
