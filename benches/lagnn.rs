//! Local augmentation on a graph of Cora's size: an epoch of LA-GCN, and a step of the generator.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor};
use firebrick::datasets::graph::CitationNetworkConfig;
use firebrick::graph::local_augmentation::{AugmentationData, adam};
use firebrick::models::graph::local_augmentation::{
    AugmentedGcnConfig, AugmentedNetwork, ConsistencyLossConfig, DropoutMasks, LocalAugmenter,
    LocalAugmenterConfig, NeighborCvaeConfig,
};
use firebrick::ops::noise::NoiseKey;
use firebrick::ops::sparse::Features;

use crate::rows::integers;
use crate::runner::{Machine, Row};

const SAMPLES: u64 = 4;
const HIDDEN: usize = 8;
const BATCH: usize = 64;
const POOL: usize = 12;

pub fn rows(machine: &Machine) -> Vec<Row> {
    vec![epoch(machine, None), epoch(machine, Some(POOL)), generator_step(machine)]
}

fn data() -> AugmentationData {
    let network = CitationNetworkConfig::default().generate(0);
    AugmentationData::new(&network, &Device::flex()).expect("a network with features and labels")
}

fn augmenter(data: &AugmentationData, pool: Option<usize>) -> LocalAugmenter {
    let cvae = NeighborCvaeConfig::new(data.num_features()).init(&Device::flex());
    LocalAugmenterConfig::new().with_pool(pool).init(&cvae, data.raw())
}

/// Four predictions with dropout from a generated matrix each, loss, backward, step, and an
/// evaluation on a fifth.
fn epoch(machine: &Machine, pool: Option<usize>) -> Row {
    let data = data();
    let (nodes, features) = (data.num_nodes() as f64, data.num_features() as f64);
    let augmenter = augmenter(&data, pool);
    let gcn = AugmentedGcnConfig::new(data.num_features(), data.num_classes()).with_hidden(HIDDEN);
    let mut network = Some(gcn.init(&Device::flex().autodiff()));
    let mut optimizer = ModuleOptimizer::from(adam(5e-4).build());
    let loss = ConsistencyLossConfig::new().init();
    let train = || data.split().train.iter().copied();
    let nodes_of =
        |values: Vec<usize>| -> Tensor<1, Int> { integers(values.into_iter(), &Device::flex()) };
    let indices = nodes_of(train().collect());
    let labels = nodes_of(train().map(|node| data.labels()[node] as usize).collect());
    // Generation: the decoder's last layer; training: product and gradient of the first layer.
    let generated = if pool.is_some() { 0.0 } else { (SAMPLES + 1) as f64 * 2.0 * 256.0 };
    let trained = (2 * SAMPLES + 1) as f64 * 2.0 * HIDDEN as f64;
    let floor = machine.floor(0.0, nodes * features * (generated + trained));
    let mut draw = 0;
    let (form, argument) = match pool {
        None => ("fresh matrices".to_string(), 0),
        Some(pool) => (format!("pool of {pool}"), pool),
    };
    Row {
        name: format!("LA-GCN epoch, Cora's size, {form}"),
        pytorch: format!("lagcn_epoch {argument}"),
        against: "dense features and dropout, sparse CSR adjacency".into(),
        floor,
        ours: Box::new(move || {
            let model = network.take().expect("put back below");
            let mut inputs = || {
                draw += 1;
                let mut inputs: Vec<Features> =
                    augmenter.draw(draw, 1).into_iter().map(Features::Dense).collect();
                inputs.push(data.features().clone());
                (inputs, DropoutMasks::new(0, draw))
            };
            let outputs = (0..SAMPLES).map(|_| {
                let (inputs, masks) = inputs();
                model.log_probabilities(data.graph(), &inputs, Some(&masks))
            });
            let logs = Tensor::stack(outputs.collect(), 0);
            let loss = loss.forward(logs, indices.clone(), labels.clone()).total();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let model = optimizer.step(0.01, model, gradients);
            let (inputs, _) = inputs();
            let output = model.valid().log_probabilities(data.graph(), &inputs, None);
            std::hint::black_box(output.into_data());
            network = Some(model);
        }),
    }
}

/// Forward, backward and Adam on 64 pairs.
fn generator_step(machine: &Machine) -> Row {
    let (data, device) = (data(), Device::flex());
    let mut cvae =
        Some(NeighborCvaeConfig::new(data.num_features()).init(&device.clone().autodiff()));
    let mut optimizer = ModuleOptimizer::from(adam(0.0).build());
    let batches = data.pairs().expect("a network with edges").batches(BATCH, 0, 0);
    let features = data.num_features() as f64;
    let parameters = 256.0 * 4.0 * features;
    // Adam reads and writes three numbers per parameter and reads the gradient.
    let floor = machine.floor(7.0 * 4.0 * parameters, 0.0);
    let mut step = 0;
    Row {
        name: format!("generator step, {BATCH} pairs, Cora's size"),
        pytorch: "cvae_step".into(),
        against: "pairs gathered by batch, Adam".into(),
        floor,
        ours: Box::new(move || {
            let model = cvae.take().expect("put back below");
            let (neighbors, centers) = batches[step % (batches.len() - 1)].gather(data.raw());
            let key = NoiseKey { seed: 0, purpose: *b"bench   ", stream: 0, step: step as u64 };
            let noise = key.normal([BATCH, model.latent()], &device, neighbors.dtype());
            let loss = model.forward(neighbors, centers, noise).loss;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            cvae = Some(optimizer.step(0.01, model, gradients));
            step += 1;
        }),
    }
}
