//! What panics, and with which sentence.

use super::*;

fn graph(device: &Device) -> TemporalGraph {
    Sample::random(4, 2, 15).build(device)
}

#[test]
#[should_panic(expected = "Gcrn: nodes must have 2 features, got 3")]
fn gcrn_refuses_another_number_of_features() {
    let device = Device::flex();
    GcrnConfig::new(2).init(&device).forward(&graph(&device));
}

#[test]
#[should_panic(expected = "EvolveGcnH: nodes must have 2 features, got 3")]
fn evolve_gcn_refuses_another_number_of_features() {
    let device = Device::flex();
    EvolveGcnHConfig::new(2).init(&device).forward(&graph(&device));
}

#[test]
#[should_panic(expected = "Dysat: entries must have 2 weights, got 1")]
fn dysat_refuses_another_number_of_weights() {
    let device = Device::flex();
    DysatConfig::new(FEATURES).with_d_edge(2).init(&device).forward(&graph(&device));
}

#[test]
#[should_panic(expected = "Dysat: there are codes of 1 steps, got 2 steps")]
fn dysat_refuses_more_steps_than_codes() {
    let device = Device::flex();
    DysatConfig::new(FEATURES).with_max_steps(Some(1)).init(&device).forward(&graph(&device));
}

#[test]
#[should_panic(expected = "GraphGru: the state must be [nodes, d_hidden] = [4, 16], got [3, 16]")]
fn graph_gru_refuses_a_state_of_other_nodes() {
    let device = Device::flex();
    let state = Tensor::zeros([3, 16], &device);
    GraphGruConfig::new(FEATURES).init(&device).forward_from(&graph(&device), Some(state));
}

#[test]
#[should_panic(expected = "EvolveGcnH: the state must hold matrices")]
fn evolve_gcn_refuses_weights_of_other_layers() {
    let device = Device::flex();
    let state = EvolveGcnHState { weights: Vec::new() };
    EvolveGcnHConfig::new(FEATURES).init(&device).forward_from(&graph(&device), Some(state));
}

#[test]
#[should_panic(expected = "ChebyshevGateConfig: layers must be 1 or 2, got 3")]
fn gates_refuse_three_layers() {
    GraphGruConfig::new(FEATURES).with_layers(3).init(&Device::flex());
}

#[test]
#[should_panic(expected = "DysatConfig: heads must divide d_hidden, got 3 and 16")]
fn dysat_refuses_heads_that_do_not_divide_the_width() {
    DysatConfig::new(FEATURES).with_heads(Some(3)).init(&Device::flex());
}

#[test]
#[should_panic(expected = "DcrnnConfig: d_hidden must be positive, got 0")]
fn dcrnn_refuses_an_empty_state() {
    DcrnnConfig::new(FEATURES).with_d_hidden(0).init(&Device::flex());
}

#[test]
#[should_panic(expected = "EvolveGcnOConfig: layers must be positive, got 0")]
fn evolve_gcn_refuses_no_layer() {
    EvolveGcnOConfig::new(FEATURES).with_layers(0).init(&Device::flex());
}

#[test]
#[should_panic(expected = "GraphGru: step 1: ")]
fn negative_degrees_are_refused_with_their_step() {
    let device = Device::flex();
    let window = TemporalWindow {
        shape: [2, 2, 1],
        features: &[1.0f32; 4],
        connectivity: Connectivity::Dynamic {
            sources: &[0u32, 1],
            targets: &[1, 0],
            ranges: &[0..1, 1..2],
            weights: &[1.0, -1.0],
        },
        present: None,
    };
    let config = TemporalGraphConfig::new().with_presence_channel(true);
    let graph = config.build(&[window], &device).unwrap();
    GraphGruConfig::new(1).init(&device).forward(&graph);
}
