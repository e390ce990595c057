//! Windows side by side, in pieces, and over static graphs.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn windows_of_any_size_and_length_side_by_side_are_windows_alone(seed: u64) {
        let device = Device::flex();
        let samples = [(6, 4), (3, 2), (6, 4), (1, 3), (6, 1)]
            .map(|(nodes, steps)| Sample::random(nodes, steps, seed ^ (nodes * 8 + steps) as u64));
        let together = batch(&samples.each_ref(), &device);
        for (name, network) in networks(&device) {
            let alone = samples.iter().flat_map(|sample| host(network(&sample.build(&device))));
            let alone: Vec<f32> = alone.collect();
            let apart = distance(&host(network(&together)), &alone);
            prop_assert!(apart < 2e-6, "{name}: {apart}");
        }
    }
}

#[test]
fn windows_of_equal_size_side_by_side_are_windows_alone() {
    let device = Device::flex();
    let samples = [5, 6, 7].map(|seed| Sample::random(5, 3, seed));
    let together = batch(&samples.each_ref(), &device);
    for (name, network) in networks(&device) {
        let alone = samples.iter().flat_map(|sample| host(network(&sample.build(&device))));
        let apart = distance(&host(network(&together)), &alone.collect::<Vec<_>>());
        assert!(apart < 2e-6, "{name}: {apart}");
    }
}

#[test]
fn states_carried_across_calls_are_one_long_window() {
    let device = Device::flex();
    let sample = Sample::random(5, 5, 8);
    let whole = sample.build(&device);
    let parts = [0..2, 2..3, 3..5].map(|steps| sample.cut(steps).build(&device));
    macro_rules! check {
        ($config:expr, |$network:ident, $part:ident, $state:ident| $next:expr, |$last:ident| $output:expr) => {{
            let $network = $config.with_d_hidden(HIDDEN).init(&device);
            let mut $state = None;
            for $part in &parts {
                $state = Some($next);
            }
            let $last = $state.unwrap();
            let apart = distance(&host($output), &host($network.forward(&whole)));
            assert!(apart < 1e-6, "{}: {apart}", stringify!($config));
        }};
    }
    check!(
        GcrnConfig::new(FEATURES),
        |network, part, state| network.forward_from(part, state),
        |last| last.hidden
    );
    check!(
        GcrnConfig::published(FEATURES),
        |network, part, state| network.forward_from(part, state),
        |last| last.hidden
    );
    check!(
        GraphGruConfig::new(FEATURES),
        |network, part, state| network.forward_from(part, state),
        |last| last
    );
    check!(
        DcrnnConfig::new(FEATURES),
        |network, part, state| network.forward_from(part, state),
        |last| last
    );
    check!(
        GcnGruConfig::new(FEATURES),
        |network, part, state| network.forward_from(part, state),
        |last| last
    );
    let network = EvolveGcnOConfig::new(FEATURES).with_d_hidden(HIDDEN).init(&device);
    let (mut output, mut state) = network.forward_from(&parts[0], None);
    for part in &parts[1..] {
        (output, state) = network.forward_from(part, Some(state));
    }
    assert!(distance(&host(output), &host(network.forward(&whole))) < 1e-6);
    let network = EvolveGcnHConfig::new(FEATURES).with_d_hidden(HIDDEN).init(&device);
    let (mut output, mut state) = network.forward_from(&parts[0], None);
    for part in &parts[1..] {
        (output, state) = network.forward_from(part, Some(state));
    }
    assert!(distance(&host(output), &host(network.forward(&whole))) < 1e-6);
}

#[test]
fn static_connectivity_is_the_same_snapshot_at_every_step() {
    let device = Device::flex();
    let mut sample = Sample::random(6, 3, 9);
    sample.steps = vec![sample.steps[0].clone(); 3];
    let entries = &sample.steps[0];
    let sources: Vec<u32> = entries.iter().map(|entry| entry.0 as u32).collect();
    let targets: Vec<u32> = entries.iter().map(|entry| entry.1 as u32).collect();
    let weights: Vec<f64> = entries.iter().map(|entry| entry.2).collect();
    let window = TemporalWindow {
        shape: [6, 3, FEATURES],
        features: &sample.features,
        connectivity: Connectivity::Static {
            sources: &sources,
            targets: &targets,
            features: &weights,
        },
        present: None,
    };
    let fixed = TemporalGraphConfig::new().build(&[window], (&device, DType::F32)).unwrap();
    assert!(fixed.is_static());
    let dynamic = sample.build(&device);
    for (name, network) in networks(&device) {
        let apart = distance(&host(network(&fixed)), &host(network(&dynamic)));
        assert!(apart < 1e-6, "{name}: {apart}");
    }
}

/// Node 5 leaves after the second of three steps.
#[test]
fn absent_nodes_keep_their_state_and_count_for_nobody() {
    let device = Device::flex();
    let mut sample = Sample::random(6, 3, 10);
    sample.steps[2].retain(|entry| entry.0 != 5 && entry.1 != 5);
    let present = (0..6 * 3).map(|place| place != 5 * 3 + 2).collect();
    sample.present = Some(present);
    let before = sample.cut(0..2).build(&device);
    let graph = sample.build(&device);
    let place = sample.at(5, 2);
    sample.features[place].copy_from_slice(&[50.0, -70.0, 90.0]);
    let noisy = sample.build(&device);
    for (name, network) in networks(&device) {
        let (rows, noisy) = (host(network(&graph)), host(network(&noisy)));
        let others = 5 * HIDDEN;
        assert!(distance(&rows[..others], &noisy[..others]) < 1e-6, "{name}");
        if ["Gcrn", "Gru", "Dcrnn"].iter().any(|part| name.contains(part)) {
            let kept = host(network(&before));
            assert!(distance(&rows[others..], &kept[others..]) < 1e-6, "{name}");
            assert!(distance(&rows[others..], &noisy[others..]) < 1e-6, "{name}");
        }
    }
}
