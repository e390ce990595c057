//! The networks against their formulas, written gate by gate or with dense matrices.

use super::*;

fn cheb(net: &ChebyshevGate, graph: &TemporalGraph, step: usize, x: Tensor<2>) -> Tensor<2> {
    let operator = graph.snapshots()[step].operator(Normalization::CHEBYSHEV).unwrap();
    net.first.forward(&operator, x)
}

#[test]
fn published_gcrn_agrees_with_its_formula() {
    let device = Device::flex();
    let graph = Sample::random(5, 3, 11).build(&device);
    let mut network = GcrnConfig::published(FEATURES).with_d_hidden(HIDDEN).init(&device);
    let numbers = |rows: usize| -> Vec<Vec<f32>> {
        let number = |place: usize| (place as f32 * 1.7).sin();
        (0..rows).map(|row| (0..HIDDEN).map(|i| number(row * HIDDEN + i)).collect()).collect()
    };
    let matrix = |rows: usize| {
        let rows: Vec<f32> = numbers(rows).concat();
        let len = rows.len();
        Tensor::<1>::from_data(burn::tensor::TensorData::new(rows, [len]), &device)
    };
    network.bias = Param::from_tensor(matrix(4).reshape([4, HIDDEN]));
    network.peepholes = Some(Param::from_tensor(matrix(3).reshape([3, HIDDEN])));
    let row = |index: usize| matrix(4).reshape([4, HIDDEN]).narrow(0, index, 1);
    let mut hidden = Tensor::<2>::zeros([5, HIDDEN], &device);
    let mut cell = hidden.clone();
    for step in 0..3 {
        let gate = |index: usize| {
            cheb(&network.input[index], &graph, step, graph.features_at(step))
                + cheb(&network.hidden[index], &graph, step, hidden.clone())
                + row(index)
        };
        // The peepholes happen to hold the first rows of the biases.
        let enter = sigmoid(gate(0) + cell.clone() * row(0));
        let forget = sigmoid(gate(1) + cell.clone() * row(1));
        let next = forget * cell.clone() + enter * gate(2).tanh();
        let output = sigmoid(gate(3) + next.clone() * row(2));
        hidden = output * next.clone().tanh();
        cell = next;
    }
    let found = network.forward_from(&graph, None);
    assert!(distance(&host(found.hidden), &host(hidden)) < 1e-6);
    assert!(distance(&host(found.cell), &host(cell)) < 1e-6);
}

#[test]
fn diffusion_agrees_with_dense_random_walks() {
    let device = Device::flex();
    let sample = Sample::random(5, 2, 12);
    let graph = sample.build(&device);
    let network = DcrnnConfig::new(FEATURES).with_d_hidden(HIDDEN).init(&device);
    let walk = |step: usize, against: bool| {
        let mut rows = [[0.0f32; 5]; 5];
        for &(source, target, weight) in &sample.steps[step] {
            let (row, column) = if against { (target, source) } else { (source, target) };
            rows[row][column] += weight as f32;
        }
        for row in &mut rows {
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= if sum == 0.0 { 1.0 } else { sum });
        }
        Tensor::<2>::from_data(rows, &device)
    };
    let mut hidden = Tensor::<2>::zeros([5, HIDDEN], &device);
    for step in 0..2 {
        let diffuse = |x: Tensor<2>| {
            let mut terms = vec![x.clone()];
            for against in [false, true] {
                let once = walk(step, against).matmul(x.clone());
                terms.extend([once.clone(), walk(step, against).matmul(once)]);
            }
            Tensor::cat(terms, 1)
        };
        let input = diffuse(graph.features_at(step)).matmul(network.input.val());
        let part = |x: &Tensor<2>, index: usize| x.clone().narrow(1, index * HIDDEN, HIDDEN);
        let gates = diffuse(hidden.clone()).matmul(network.hidden_gates.val());
        let reset = sigmoid(part(&input, 0) + part(&gates, 0));
        let update = sigmoid(part(&input, 1) + part(&gates, 1));
        let candidate = diffuse(reset * hidden.clone()).matmul(network.hidden_candidate.val());
        let candidate = (part(&input, 2) + candidate).tanh();
        hidden = update.clone() * hidden + (update.neg() + 1.0) * candidate;
    }
    assert!(distance(&host(network.forward(&graph)), &host(hidden)) < 1e-6);
}

#[test]
fn attention_over_a_single_step_is_the_value_of_its_snapshot() {
    let device = Device::flex();
    let graph = Sample::random(6, 1, 13).build(&device);
    let network = DysatConfig::new(FEATURES).with_d_hidden(HIDDEN).init(&device);
    let snapshot = &graph.snapshots()[0];
    let attended = network.layers.iter().fold(graph.features_at(0), |x, layer| {
        let weights = Some(snapshot.weights());
        Activation::Softplus.forward(layer.attend(snapshot.graph(), x, weights).output)
    });
    let expected = network.time.output.forward(network.time.value.forward(attended));
    assert!(distance(&host(network.forward(&graph)), &host(expected)) < 1e-6);
}

#[test]
fn codes_of_steps_tell_the_order_of_earlier_steps() {
    let device = Device::flex();
    let sample = Sample::random(5, 3, 14);
    let mut swapped = sample.clone();
    swapped.steps.swap(0, 1);
    for node in 0..5 {
        for column in 0..FEATURES {
            let (first, second) = (sample.at(node, 0).start, sample.at(node, 1).start);
            swapped.features.swap(first + column, second + column);
        }
    }
    let (graph, swapped) = (sample.build(&device), swapped.build(&device));
    let mut network =
        DysatConfig::new(FEATURES).with_d_hidden(HIDDEN).with_max_steps(Some(4)).init(&device);
    let apart = |network: &Dysat| {
        distance(&host(network.forward(&graph)), &host(network.forward(&swapped)))
    };
    assert!(apart(&network) < 1e-6);
    let codes: [[f32; HIDDEN]; 4] =
        std::array::from_fn(|step| std::array::from_fn(|i| ((3 * step + i) as f32).sin()));
    network.steps = Some(Param::from_tensor(Tensor::from_data(codes, &device)));
    assert!(apart(&network) > 1e-4);
}
