//! Batches for Burn from host data: samples that know their index, in an order that is a function
//! of (seed, epoch).
//!
//! Methods that keep a state per sample (SOP, ELR, ...) need to know which sample they see, and a
//! resumed run must see what the uninterrupted one saw. [`EpochLoader`] is a Burn `DataLoader` with
//! both properties, for any Burn `Dataset`; [`LabeledDataset`] is such a data set over firebrick's
//! own host data, and [`Views`] are random views of its images, such as the two of SOP+.
//! [`GraphTensors`] brings a graph of the host to a device in one line, [`temporal_graph`] windows of one that
//! changes; [`block`] and [`layerwise`] are
//! for graphs that are too large to be trained on as a whole.
//!
//! # Example
//! ```
//! use burn::data::dataloader::DataLoader;
//! use burn::tensor::Device;
//! use firebrick::data::LabeledDataset;
//! use firebrick::datasets::digits;
//!
//! let dataset = LabeledDataset::new(digits());
//! let loader = dataset.loader::<4>(32).shuffle(7).device(Device::flex());
//! let batch = loader.iter().next().unwrap().unwrap();
//! assert_eq!(batch.inputs.dims(), [32, 1, 8, 8]);
//! assert_eq!(batch.indices.dims(), [32]);
//! ```

mod graph;
mod labeled;
mod loader;
mod temporal;
mod views;

pub use graph::{
    Chunk, GraphTensors, block, block_operator, features, graph, layerwise, operator_entries,
};
pub use labeled::{LabeledBatch, LabeledBatcher, LabeledDataset, LabeledSample};
pub use loader::{EpochLoader, Indexed};
pub use temporal::temporal_graph;
pub use views::{ViewBatcher, Views};
