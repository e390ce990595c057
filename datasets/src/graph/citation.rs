//! A random citation network: documents cite mostly documents of their own field, and use its words.
//!
//! ```text
//! class    y_i  uniform
//! weight   t_i  = u^(-1/a), u uniform in (0, 1]          a few documents are cited by many
//! edges    i ~ t;  j ~ t, of class y_i with probability h, of another class otherwise;
//!          until there are `num_edges` different ones
//! words    of document i: each of about `words_per_node` draws is a word of the field's own
//!          vocabulary with probability s, any word otherwise
//! ```
//!
//! a degree-corrected stochastic block model with bags of words. With the defaults it has the sizes
//! of Cora: 2,708 documents, 5,278 edges, 1,433 words, 7 fields, 81 % of the edges within a field.
//! The words of one document say little about its field; those of its neighbors help.
//!
//! # References
//! B. Karrer, M. Newman, *Stochastic Blockmodels and Community Structure in Networks*, Physical
//! Review E 83, 2011 (degree correction); Z. Yang, W. Cohen, R. Salakhutdinov, *Revisiting
//! Semi-Supervised Learning with Graph Embeddings*, ICML 2016 (the split).

use std::collections::HashSet;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::graph::{GraphData, NodeFeatures, NodeSplit, SparseRows};
use crate::random::{Use, generator};

/// Settings of a random citation network.
///
/// | field | default | [`small`](Self::small) | meaning |
/// |---|---|---|---|
/// | `num_nodes` | 2708 | 600 | documents |
/// | `num_edges` | 5278 | 1200 | different undirected edges |
/// | `num_classes` | 7 | 4 | fields |
/// | `num_features` | 1433 | 300 | words |
/// | `homophily` | 0.81 | 0.81 | share of the edges within a field |
/// | `degree_exponent` | 2.5 | 2.5 | tail of the weights; smaller: larger hubs |
/// | `words_per_node` | 18 | 12 | words drawn per document, on average |
/// | `topic_share` | 0.2 | 0.25 | share of them from the field's own vocabulary |
/// | `topic_words` | 100 | 30 | size of that vocabulary |
/// | `train_per_class` | 20 | 10 | training nodes of each field |
/// | `num_validation` | 500 | 100 | validation nodes |
/// | `num_test` | 1000 | 300 | test nodes |
///
/// # Example
/// ```
/// use firebrick_datasets::graph::CitationNetworkConfig;
///
/// let graph = CitationNetworkConfig::small().generate(0);
/// assert_eq!((graph.num_nodes(), graph.num_entries()), (600, 2400));
/// assert_eq!(graph.split().train.len(), 40);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitationNetworkConfig {
    /// Number of documents.
    pub num_nodes: usize,
    /// Number of different undirected edges.
    pub num_edges: usize,
    /// Number of fields.
    pub num_classes: usize,
    /// Number of words.
    pub num_features: usize,
    /// Share of the edges within a field.
    pub homophily: f64,
    /// Exponent `a` of the tail of the weights, `P(t > x) = x^-a`.
    pub degree_exponent: f64,
    /// Words drawn per document, on average; a word that is drawn twice counts once.
    pub words_per_node: f64,
    /// Share of the words from the field's own vocabulary.
    pub topic_share: f64,
    /// Size of a field's own vocabulary; vocabularies may share words.
    pub topic_words: usize,
    /// Training nodes of each field.
    pub train_per_class: usize,
    /// Number of validation nodes.
    pub num_validation: usize,
    /// Number of test nodes.
    pub num_test: usize,
}

impl Default for CitationNetworkConfig {
    fn default() -> Self {
        Self {
            num_nodes: 2708,
            num_edges: 5278,
            num_classes: 7,
            num_features: 1433,
            homophily: 0.81,
            degree_exponent: 2.5,
            words_per_node: 18.0,
            topic_share: 0.2,
            topic_words: 100,
            train_per_class: 20,
            num_validation: 500,
            num_test: 1000,
        }
    }
}

/// Draws that give no new edge, per edge, after which drawing stops.
const MOST_REPEATS: usize = 100;

impl CitationNetworkConfig {
    /// A network that trains in a moment.
    pub fn small() -> Self {
        Self {
            num_nodes: 600,
            num_edges: 1200,
            num_classes: 4,
            num_features: 300,
            words_per_node: 12.0,
            topic_share: 0.25,
            topic_words: 30,
            train_per_class: 10,
            num_validation: 100,
            num_test: 300,
            ..Self::default()
        }
    }

    /// Sets the number of documents.
    pub fn with_num_nodes(mut self, num_nodes: usize) -> Self {
        self.num_nodes = num_nodes;
        self
    }

    /// Sets the number of undirected edges.
    pub fn with_num_edges(mut self, num_edges: usize) -> Self {
        self.num_edges = num_edges;
        self
    }

    /// Sets the number of fields.
    pub fn with_num_classes(mut self, num_classes: usize) -> Self {
        self.num_classes = num_classes;
        self
    }

    /// Sets the number of words.
    pub fn with_num_features(mut self, num_features: usize) -> Self {
        self.num_features = num_features;
        self
    }

    /// Sets the share of the edges within a field.
    pub fn with_homophily(mut self, homophily: f64) -> Self {
        self.homophily = homophily;
        self
    }

    /// Sets the exponent of the tail of the weights.
    pub fn with_degree_exponent(mut self, degree_exponent: f64) -> Self {
        self.degree_exponent = degree_exponent;
        self
    }

    /// Sets the number of words per document.
    pub fn with_words_per_node(mut self, words_per_node: f64) -> Self {
        self.words_per_node = words_per_node;
        self
    }

    /// Sets the share of the words from the field's own vocabulary, and the vocabulary's size.
    pub fn with_topics(mut self, topic_share: f64, topic_words: usize) -> Self {
        (self.topic_share, self.topic_words) = (topic_share, topic_words);
        self
    }

    /// Sets the number of training nodes per field, of validation and of test nodes.
    pub fn with_split(mut self, train_per_class: usize, validation: usize, test: usize) -> Self {
        self.train_per_class = train_per_class;
        (self.num_validation, self.num_test) = (validation, test);
        self
    }

    /// Draws the network; a function of settings and seed alone. Edges, words and split have
    /// streams of their own.
    ///
    /// The features are binary. Fields differ in size by at most one document. Where almost all
    /// edges exist that the weights make likely, there may be fewer than `num_edges`: drawing stops
    /// after a hundred draws per edge.
    ///
    /// # Panics
    /// If there are fewer than two fields or documents per field, a share is not from 0 to 1, an
    /// exponent or `words_per_node` is not positive and finite, `topic_words` is 0 or exceeds
    /// `num_features`, or there are too few documents for the split.
    pub fn generate(&self, seed: u64) -> GraphData {
        self.check();
        let mut classes: Vec<usize> = (0..self.num_nodes).map(|i| i % self.num_classes).collect();
        crate::split::shuffle(&mut classes, &mut generator(Use::Graph, seed, 0));
        let labels: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
        let edges = self.edges(&classes, &mut generator(Use::Graph, seed, 1));
        let words = self.words(&classes, &mut generator(Use::Graph, seed, 2));
        let split = NodeSplit::per_class(
            &labels,
            self.num_classes,
            self.train_per_class,
            self.num_validation,
            self.num_test,
            seed,
        );
        let split = split.unwrap_or_else(|error| panic!("citation network: {error}"));
        GraphData::from_edges("citation-network", self.num_nodes, &edges)
            .and_then(|graph| graph.with_features(NodeFeatures::Sparse(words)))
            .and_then(|graph| graph.with_labels(labels, self.num_classes))
            .and_then(|graph| graph.with_split(split))
            .expect("everything was drawn in range")
    }

    /// Different pairs `(a, b)` with `a < b`, sorted.
    fn edges(&self, classes: &[usize], generator: &mut impl Rng) -> Vec<(usize, usize)> {
        let exponent = -1.0 / self.degree_exponent;
        let weights: Vec<f64> =
            (0..self.num_nodes).map(|_| (1.0 - generator.random::<f64>()).powf(exponent)).collect();
        let members = |of: &dyn Fn(usize) -> bool| {
            Weighted::new((0..self.num_nodes).filter(|&node| of(classes[node])), &weights)
        };
        let everyone = members(&|_| true);
        let own: Vec<Weighted> =
            (0..self.num_classes).map(|class| members(&|other| other == class)).collect();
        let others: Vec<Weighted> =
            (0..self.num_classes).map(|class| members(&|other| other != class)).collect();
        let mut edges = HashSet::with_capacity(self.num_edges);
        for _ in 0..self.num_edges.saturating_mul(MOST_REPEATS) {
            if edges.len() == self.num_edges {
                break;
            }
            let a = everyone.draw(generator);
            let within = generator.random::<f64>() < self.homophily;
            let partners = if within { &own[classes[a]] } else { &others[classes[a]] };
            let b = partners.draw(generator);
            if a != b {
                edges.insert((a.min(b), a.max(b)));
            }
        }
        let mut edges: Vec<(usize, usize)> = edges.into_iter().collect();
        edges.sort_unstable();
        edges
    }

    /// The words of all documents.
    fn words(&self, classes: &[usize], generator: &mut impl Rng) -> SparseRows {
        let vocabularies: Vec<Vec<usize>> = (0..self.num_classes)
            .map(|_| rand::seq::index::sample(generator, self.num_features, self.topic_words))
            .map(rand::seq::index::IndexVec::into_vec)
            .collect();
        let (mut starts, mut columns) = (vec![0], Vec::new());
        for &class in classes {
            let own = &vocabularies[class];
            // From half to one and a half of the average.
            let count = (self.words_per_node * (0.5 + generator.random::<f64>())).round().max(1.0);
            let mut row: Vec<usize> = (0..count as usize)
                .map(|_| match generator.random::<f64>() < self.topic_share {
                    true => own[generator.random_range(0..own.len())],
                    false => generator.random_range(0..self.num_features),
                })
                .collect();
            row.sort_unstable();
            row.dedup();
            columns.extend(row);
            starts.push(columns.len());
        }
        SparseRows::binary(self.num_features, starts, columns)
            .expect("words are sorted, different and below `num_features`")
    }

    fn check(&self) {
        let place = "citation network";
        let Self { num_nodes, num_classes, num_features, topic_words, .. } = *self;
        assert!(
            num_classes >= 2,
            "{place}: expected `num_classes` of at least 2, got {num_classes}"
        );
        assert!(
            num_nodes >= 2 * num_classes,
            "{place}: expected `num_nodes` of at least two per field, got {num_nodes} for \
             {num_classes} fields"
        );
        for (name, share) in [("homophily", self.homophily), ("topic_share", self.topic_share)] {
            assert!(
                (0.0..=1.0).contains(&share),
                "{place}: expected `{name}` from 0 to 1, got {share}"
            );
        }
        let positive =
            [("degree_exponent", self.degree_exponent), ("words_per_node", self.words_per_node)];
        for (name, value) in positive {
            assert!(
                value > 0.0 && value.is_finite(),
                "{place}: expected a positive finite `{name}`, got {value}"
            );
        }
        assert!(
            (1..=num_features).contains(&topic_words),
            "{place}: expected `topic_words` from 1 to {num_features} (`num_features`), got \
             {topic_words}"
        );
    }
}

/// Nodes to draw in proportion to their weights.
struct Weighted {
    nodes: Vec<usize>,
    /// Sums of the weights up to each node.
    sums: Vec<f64>,
}

impl Weighted {
    fn new(nodes: impl Iterator<Item = usize>, weights: &[f64]) -> Self {
        let nodes: Vec<usize> = nodes.collect();
        let mut sum = 0.0;
        let add = |&node: &usize| {
            sum += weights[node];
            sum
        };
        let sums = nodes.iter().map(add).collect();
        Self { nodes, sums }
    }

    fn draw(&self, generator: &mut impl Rng) -> usize {
        let total = self.sums.last().copied().unwrap_or_default();
        let place = generator.random::<f64>() * total;
        let index = self.sums.partition_point(|&sum| sum <= place);
        self.nodes[index.min(self.nodes.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_network_has_the_sizes_of_cora() {
        let graph = CitationNetworkConfig::default().generate(0);
        let split = graph.split();
        assert_eq!((graph.num_nodes(), graph.num_entries()), (2708, 2 * 5278));
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (140, 500, 1000));
        assert_eq!(graph.class_counts(split.train.iter().copied()), [20; 7]);
        let within = graph.entries().filter(|&(a, b)| graph.label(a) == graph.label(b)).count();
        let share = within as f64 / graph.num_entries() as f64;
        assert!((share - 0.81).abs() < 0.03, "{share}");
        let NodeFeatures::Sparse(words) = graph.features() else { panic!("words are sparse") };
        let mean = words.num_stored() as f64 / 2708.0;
        assert!((16.5..18.5).contains(&mean), "{mean}");
        assert!(words.values().iter().all(|&value| value == 1.0));
        let mut degrees = vec![0; 2708];
        graph.targets().iter().for_each(|&node| degrees[node] += 1);
        let largest = degrees.iter().max().copied().unwrap_or_default();
        assert!((30..600).contains(&largest), "{largest}");
    }

    #[test]
    fn words_of_a_field_are_more_frequent_in_it() {
        let config = CitationNetworkConfig::small().with_topics(1.0, 20);
        let graph = config.generate(1);
        let NodeFeatures::Sparse(words) = graph.features() else { panic!("words are sparse") };
        let mut used = vec![HashSet::new(); 4];
        for node in 0..graph.num_nodes() {
            let class = graph.label(node).expect("every node has a field");
            used[class].extend(words.row(node).0.iter().copied());
        }
        assert!(used.iter().all(|words| words.len() == 20));
    }

    #[test]
    fn a_network_without_homophily_has_no_edge_within_a_field() {
        let graph = CitationNetworkConfig::small().with_homophily(0.0).generate(2);
        assert!(graph.entries().all(|(a, b)| graph.label(a) != graph.label(b)));
    }

    #[test]
    fn seeds_fix_the_network_and_drawing_ends_where_no_edge_is_left() {
        let config = CitationNetworkConfig::small();
        assert_eq!(config.generate(3), config.generate(3));
        assert_ne!(config.generate(3).targets(), config.generate(4).targets());
        let config = config.with_num_nodes(8).with_num_edges(1000).with_split(1, 1, 1);
        assert!(config.generate(0).num_entries() <= 8 * 7);
    }

    #[test]
    #[should_panic(expected = "expected `homophily` from 0 to 1, got 1.5")]
    fn refuses_shares_beyond_one() {
        CitationNetworkConfig::small().with_homophily(1.5).generate(0);
    }

    #[test]
    #[should_panic(expected = "citation network: node split: class 0: expected at least 300 nodes")]
    fn refuses_a_split_that_is_too_large() {
        CitationNetworkConfig::small().with_split(300, 1, 1).generate(0);
    }
}
