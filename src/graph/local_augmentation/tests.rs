use burn::tensor::Device;
use firebrick_datasets::graph::{
    CitationNetworkConfig, DenseRows, GraphData, NodeFeatures, NodeSplit,
};
use firebrick_models::graph::local_augmentation::{
    AugmentedGcnConfig, AugmentedGcniiConfig, AugmentedSageConfig, GrandConfig, LocalAugmenter,
    LocalAugmenterConfig, NeighborCvae, NeighborCvaeConfig,
};

use super::*;

fn device() -> Device {
    Device::flex()
}

fn data() -> AugmentationData {
    let network = CitationNetworkConfig::small()
        .with_num_nodes(120)
        .with_num_edges(200)
        .with_num_features(40)
        .with_topics(0.5, 8)
        .with_split(5, 30, 40);
    AugmentationData::new(&network.generate(1), &device()).unwrap()
}

fn cvae(data: &AugmentationData) -> NeighborCvae {
    let config = NeighborCvaeConfig::new(data.num_features()).with_hidden(8).with_latent(2);
    config.init(&device().autodiff())
}

fn augmenter(data: &AugmentationData) -> LocalAugmenter {
    LocalAugmenterConfig::new().init(&cvae(data), data.raw())
}

fn gcn(data: &AugmentationData) -> AugmentedGcnConfig {
    AugmentedGcnConfig::new(data.num_features(), data.num_classes()).with_hidden(4)
}

/// Two nodes with one feature and the given entries.
fn pair(entries: (Vec<usize>, Vec<usize>), features: [f32; 2]) -> GraphData {
    let rows = DenseRows::new(2, 1, features.to_vec()).unwrap();
    GraphData::new("pair", 2, entries.0, entries.1)
        .and_then(|graph| graph.with_features(NodeFeatures::Dense(rows)))
        .and_then(|graph| graph.with_labels(vec![0, 1], 2))
        .and_then(|graph| {
            let (train, validation) = (vec![0], vec![1]);
            graph.with_split(NodeSplit { train, validation, test: vec![] })
        })
        .unwrap()
}

#[test]
fn one_seed_gives_one_training_and_another_seed_another() {
    let data = data();
    let augmenter = augmenter(&data);
    let run = |seed| {
        let training = NodeTrainingConfig::augmented().with_epochs(4).with_seed(seed);
        let source = Source::Generated { augmenter: &augmenter, count: 1 };
        training.train(gcn(&data).init(&device().autodiff()), &data, source, |_| {}).unwrap().report
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).history, run(2).history);
}

#[test]
fn the_loss_of_the_generator_falls_and_one_seed_gives_one_generator() {
    let data = data();
    let training = GeneratorTrainingConfig::new().with_epochs(6);
    let run = || training.train(cvae(&data), &data, |_| {}).unwrap();
    let (first, second) = (run(), run());
    assert_eq!(first.history, second.history);
    assert_eq!(first.history.len(), 6);
    assert!(first.history[5].reconstruction < 0.9 * first.history[0].reconstruction);
}

#[test]
fn the_state_of_the_highest_score_after_the_warm_up_is_kept() {
    let data = data();
    let scoring = ScoringConfig::new().with_passes(5).with_warm_up(4).with_every(2);
    let training = |scoring| {
        let training = GeneratorTrainingConfig::new().with_epochs(2).with_scoring(Some(scoring));
        training.train(cvae(&data), &data, |_| {}).unwrap()
    };
    let trained = training(scoring.clone());
    assert!(trained.scores.iter().all(|&(step, score)| step > 4 && step % 2 == 0 && score <= 1e-6));
    let best = trained
        .scores
        .iter()
        .fold((0, f64::NEG_INFINITY), |best, &found| if found.1 > best.1 { found } else { best });
    assert_eq!(trained.step, best.0);
    let by_accuracy = training(scoring.clone().with_rule(ScoreRule::ValidationAccuracy));
    assert!(by_accuracy.scores.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
    let never = training(scoring.with_warm_up(10_000));
    assert!(never.scores.is_empty() && never.step > 8);
}

#[test]
fn every_network_trains_with_its_way_to_take_the_matrices() {
    let data = data();
    let augmenter = augmenter(&data);
    let source = Source::Generated { augmenter: &augmenter, count: 1 };
    let (features, classes, device) =
        (data.num_features(), data.num_classes(), device().autodiff());
    let training = NodeTrainingConfig::augmented().with_epochs(3).with_samples(2);
    let deep = AugmentedGcniiConfig::new(features, classes).with_hidden(4).with_layers(3);
    let deep = training.train(deep.init(&device), &data, source, |_| {}).unwrap();
    let sage = AugmentedSageConfig::new(features, classes).with_hidden(4).init(&device);
    let sage = training.train(sage, &data, source, |_| {}).unwrap();
    let separate = NodeTrainingConfig::grand().with_epochs(3).with_samples(2);
    let grand = GrandConfig::new(features, classes).with_hidden(4).with_order(2).init(&device);
    let grand = separate.train(grand, &data, source, |_| {}).unwrap();
    let average = training.with_fusion(Fusion::Average);
    let mean = average.train(gcn(&data).with_generated(0).init(&device), &data, source, |_| {});
    for report in [deep.report, sage.report, grand.report, mean.unwrap().report] {
        assert_eq!(report.history.len(), 3);
        assert!(report.history[2].validation_loss < report.history[0].validation_loss * 1.5);
    }
}

#[test]
fn patience_ends_a_training_that_does_not_get_better() {
    let data = data();
    let training = NodeTrainingConfig::plain().with_epochs(300).with_learning_rate(0.5);
    let network = || gcn(&data).with_generated(0).init(&device().autodiff());
    let run = |training: NodeTrainingConfig| {
        training.train(network(), &data, Source::Real, |_| {}).unwrap().report
    };
    let stopped = run(training.clone().with_patience(Some(5)));
    assert!(stopped.history.len() < 300);
    assert!(stopped.best_epoch <= stopped.history.len());
}

#[test]
fn of_equal_validation_losses_grand_keeps_the_last_and_the_others_the_first() {
    let data = data();
    let network = GrandConfig::new(data.num_features(), data.num_classes()).with_hidden(4);
    // Steps far below the rounding of the weights leave every epoch at one validation loss.
    let training = NodeTrainingConfig::grand().with_epochs(4).with_learning_rate(1e-30);
    let run = |training: NodeTrainingConfig| {
        let network = network.init(&device().autodiff());
        training.train(network, &data, Source::Real, |_| {}).unwrap().report
    };
    let last = run(training.clone());
    let losses: Vec<_> = last.history.iter().map(|epoch| epoch.validation_loss).collect();
    assert!(losses.iter().all(|&loss| loss == losses[0]), "{losses:?}");
    assert_eq!(last.best_epoch, 4);
    assert_eq!(run(training.with_keep_ties(false)).best_epoch, 1);
    assert!(!NodeTrainingConfig::plain().keep_ties && !NodeTrainingConfig::augmented().keep_ties);
}

#[test]
fn input_that_cannot_work_is_an_error() {
    let train = |graph: GraphData, training: GeneratorTrainingConfig| {
        let data = AugmentationData::new(&graph, &device()).unwrap();
        training.train(cvae(&data), &data, |_| {}).unwrap_err().to_string()
    };
    let edge = || (vec![0, 1], vec![1, 0]);
    let error = train(pair((vec![], vec![]), [0.0, 1.0]), GeneratorTrainingConfig::new());
    assert!(error.ends_with("found no edges"), "{error}");
    let error = train(pair(edge(), [0.0, 2.0]), GeneratorTrainingConfig::new());
    assert!(error.starts_with("features: expected numbers from 0 to 1"), "{error}");
    let none = GeneratorTrainingConfig::new().with_batch_size(0);
    let error = train(pair(edge(), [0.0, 1.0]), none);
    assert_eq!(error, "batch size: expected at least 1, found 0");

    let data = AugmentationData::new(&pair(edge(), [0.0, 1.0]), &device()).unwrap();
    let network = || gcn(&data).with_generated(0).init(&device().autodiff());
    for (training, what) in [
        (NodeTrainingConfig::new().with_temperature(0.0), "temperature"),
        (NodeTrainingConfig::new().with_consistency(-1.0), "consistency"),
        (NodeTrainingConfig::new().with_samples(0), "samples"),
    ] {
        let error = training.train(network(), &data, Source::Real, |_| {}).unwrap_err();
        assert_eq!(error.what, what);
    }
    let empty = GraphData::new("empty", 2, vec![0], vec![1]).unwrap();
    assert_eq!(AugmentationData::new(&empty, &device()).unwrap_err().what, "features");
}
