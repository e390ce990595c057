//! A small real graph that needs no file.

use crate::graph::{GraphData, NodeFeatures, NodeSplit};

/// Members of the club whom each member saw outside of it, with a larger number than its own.
const FRIENDS: [&[usize]; 34] = [
    &[1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31],
    &[2, 3, 7, 13, 17, 19, 21, 30],
    &[3, 7, 8, 9, 13, 27, 28, 32],
    &[7, 12, 13],
    &[6, 10],
    &[6, 10, 16],
    &[16],
    &[],
    &[30, 32, 33],
    &[33],
    &[],
    &[],
    &[],
    &[33],
    &[32, 33],
    &[32, 33],
    &[],
    &[],
    &[32, 33],
    &[33],
    &[32, 33],
    &[],
    &[32, 33],
    &[25, 27, 29, 32, 33],
    &[25, 27, 31],
    &[31],
    &[29, 33],
    &[33],
    &[31, 33],
    &[32, 33],
    &[32, 33],
    &[32, 33],
    &[33],
    &[],
];

/// The members who stayed with the instructor (member 0).
const WITH_INSTRUCTOR: [usize; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 19, 21];

/// Zachary's karate club: 34 members, 78 friendships, and the club that each member joined when the
/// club broke up: 0 for the instructor's, 1 for the president's.
///
/// Member `i` of the paper is node `i - 1`. The features are the identity. The instructor (node 0)
/// and the president (node 33) train, members 2 and 33 of the paper (nodes 1 and 32) validate, all
/// others test; the split is ours.
///
/// # Example
/// ```
/// use firebrick_datasets::graph::karate_club;
///
/// let club = karate_club();
/// assert_eq!((club.num_nodes(), club.num_entries() / 2), (34, 78));
/// assert_eq!(club.class_counts(0..34), [17, 17]);
/// ```
///
/// # References
/// W. Zachary, *An Information Flow Model for Conflict and Fission in Small Groups*, Journal of
/// Anthropological Research 33, 1977, figure 1 and tables 1 and 3.
pub fn karate_club() -> GraphData {
    let pairs = FRIENDS.iter().enumerate();
    let edges: Vec<(usize, usize)> =
        pairs.flat_map(|(a, friends)| friends.iter().map(move |&b| (a, b))).collect();
    let mut labels = vec![1; FRIENDS.len()];
    WITH_INSTRUCTOR.iter().for_each(|&member| labels[member] = 0);
    let split = NodeSplit { train: vec![0, 33], validation: vec![1, 32], test: (2..32).collect() };
    GraphData::from_edges("karate-club", FRIENDS.len(), &edges)
        .and_then(|graph| graph.with_features(NodeFeatures::one_hot(FRIENDS.len())))
        .and_then(|graph| graph.with_labels(labels, 2))
        .and_then(|graph| graph.with_split(split))
        .expect("the embedded tables fit together")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_club_has_its_known_degrees_and_triangles() {
        let club = karate_club();
        let mut adjacent = vec![vec![false; 34]; 34];
        club.entries().for_each(|(a, b)| adjacent[a][b] = true);
        let degree = |node: usize| adjacent[node].iter().filter(|&&there| there).count();
        assert_eq!([0, 1, 2, 11, 32, 33].map(degree), [16, 9, 10, 1, 12, 17]);
        let mut triangles = 0;
        for a in 0..34 {
            for b in a + 1..34 {
                triangles += (b + 1..34)
                    .filter(|&c| adjacent[a][b] && adjacent[b][c] && adjacent[a][c])
                    .count();
            }
        }
        assert_eq!(triangles, 45);
    }
}
