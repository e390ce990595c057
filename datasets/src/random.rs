//! Random numbers that depend on seed, use and stream, and on nothing else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are used for. Each use has a key of its own, so that equal seeds do not tie,
/// say, the noise to the order of the samples.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// Label noise; the stream is the sample.
    Noise,
    /// Choice of the samples that get label noise.
    NoiseChoice,
    /// Pairs of classes that label noise swaps; the stream is the superclass.
    NoisePairs,
    /// Augmentation; the stream is the sample and which view of it.
    Augmentation,
    /// [`permutation`](crate::permutation); the stream is the caller's.
    Permutation,
    /// Division into parts; the stream is the class.
    Split,
    /// Gaussian mixture; the stream says which part of it.
    Mixture,
    /// Signal and noise patches; the stream says which part of them.
    Patches,
    /// Random graphs; the stream says which part of them.
    Graph,
    /// Training, validation and test nodes of a graph; the stream is the class, or all that is left.
    NodeSplit,
    /// Neighbor sampling; the stream is the batch.
    Neighbors,
    /// Pairs of nodes without an entry.
    NonEdges,
    /// Division of a graph's edges into parts.
    LinkSplit,
    /// Points in the plane; the stream is the density.
    Planar,
    /// Sequences of circular skip links; the stream is the sequence.
    SkipLinks,
    /// Synthetic traffic; the stream says which part of it.
    Traffic,
}

impl Use {
    fn tag(self) -> &'static [u8; 8] {
        match self {
            Self::Noise => b"noise   ",
            Self::NoiseChoice => b"choice  ",
            Self::NoisePairs => b"pairs   ",
            Self::Augmentation => b"augment ",
            Self::Permutation => b"order   ",
            Self::Split => b"split   ",
            Self::Mixture => b"mixture ",
            Self::Patches => b"patches ",
            Self::Graph => b"graph   ",
            Self::NodeSplit => b"nodes   ",
            Self::Neighbors => b"neighbor",
            Self::NonEdges => b"nonedges",
            Self::LinkSplit => b"links   ",
            Self::Planar => b"planar  ",
            Self::SkipLinks => b"skiplink",
            Self::Traffic => b"traffic ",
        }
    }
}

/// The generator for a use: its key is the seed followed by the tag of the use, then zeros.
pub(crate) fn generator(purpose: Use, seed: u64, stream: u64) -> ChaCha8Rng {
    epoch_generator(purpose, seed, 0, stream)
}

/// The generator for a use in an epoch, which stands in the key after the tag.
pub(crate) fn epoch_generator(purpose: Use, seed: u64, epoch: u64, stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(purpose.tag());
    key[16..24].copy_from_slice(&epoch.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(stream);
    generator
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn seed_use_and_stream_each_change_the_numbers() {
        let first = |purpose, seed, stream| generator(purpose, seed, stream).next_u64();
        let base = first(Use::Noise, 1, 2);
        assert_eq!(base, first(Use::Noise, 1, 2));
        assert_ne!(base, first(Use::Split, 1, 2));
        assert_ne!(base, first(Use::Noise, 2, 2));
        assert_ne!(base, first(Use::Noise, 1, 3));
        assert_eq!(base, epoch_generator(Use::Noise, 1, 0, 2).next_u64());
        assert_ne!(base, epoch_generator(Use::Noise, 1, 1, 2).next_u64());
    }
}
