//! Flags and settings.

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Parser;
use firebrick::data::temporal_graph;
use firebrick::datasets::TemporalGraphData;
use firebrick::datasets::temporal::{
    Absent, TrafficConfig, circular_skip_links, england_covid, pems,
};
use firebrick::models::temporal::Activation;
use firebrick_harness::args::CommonArgs;
use serde::{Deserialize, Serialize};

use crate::models::{Kind, Network, Sizes};

/// Time-then-graph against time-and-graph networks
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    pub common: CommonArgs,
    /// Data set in --data-dir: england_covid, PEMS04, PEMS08
    #[arg(long, default_value = "england_covid")]
    dataset: String,
    /// Forecast with all models, not only with the three quickest to show something
    #[arg(long)]
    all_models: bool,
    /// Only "dyncsl", "pair" or "forecast"
    #[arg(long)]
    only: Option<String>,
}

/// Everything that the numbers of a run depend on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub device: String,
    pub quick: bool,
    pub seeds: Vec<u64>,
    /// `None`: synthetic traffic.
    pub dataset: Option<String>,
    pub classification_epochs: usize,
    pub forecast_epochs: usize,
    pub forecast_rate: f64,
    pub forecasters: Vec<Kind>,
    only: Option<String>,
}

impl Settings {
    pub fn new(args: &Args) -> Self {
        let common = &args.common;
        let dataset = common.data_dir().map(|_| args.dataset.clone());
        let is_england = dataset.as_deref() == Some("england_covid");
        let quick_to_show = [Kind::GruGcn, Kind::GcnGru, Kind::GraphGru];
        let all = if args.all_models { Kind::ALL.to_vec() } else { quick_to_show.to_vec() };
        let forecasters = if is_england && !args.all_models { vec![Kind::GruGcn] } else { all };
        // The published rate, and one for fewer steps.
        let forecast_rate = if dataset.is_some() { 1e-3 } else { 5e-3 };
        Self {
            device: common.device.clone(),
            quick: common.quick,
            seeds: common.seeds(if is_england { 5 } else { 3 }, 1),
            dataset,
            classification_epochs: 10,
            forecast_epochs: common.epochs(if is_england { 150 } else { 60 }, 3),
            forecast_rate,
            forecasters: if common.quick { vec![Kind::GruGcn] } else { forecasters },
            only: args.only.clone(),
        }
    }

    pub fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// What is classified with; under `--quick` the two that show the difference.
    pub fn classifiers(&self) -> Vec<Kind> {
        match self.quick {
            true => vec![Kind::GruSum, Kind::GraphGru],
            false => Kind::ALL.to_vec(),
        }
    }

    pub fn is_england(&self) -> bool {
        self.dataset.as_deref() == Some("england_covid")
    }

    /// The sequence to forecast, with length of history, number of forecast features and batch size.
    pub fn load(&self, args: &Args) -> Result<(TemporalGraphData, (usize, usize, usize))> {
        match &self.dataset {
            None => {
                let (sensors, days) = if self.quick { (20, 1) } else { (30, 3) };
                Ok((TrafficConfig::new(sensors, days).generate(0)?, (12, 3, 32)))
            }
            Some(name) => {
                let dir = args.common.data_dir().context("--data-dir")?;
                match self.is_england() {
                    true => Ok((england_covid::load(dir)?, (7, 1, 4))),
                    false => Ok((pems::load(dir, name)?, (12, 3, 128))),
                }
            }
        }
    }
}

/// Largest difference of the outputs for the two sequences, of each model: smallest and largest over
/// the seeds.
pub fn pair(seeds: u64, device: &Device) -> Result<Vec<(Kind, f64, f64)>> {
    let skips = [[2, 2], [2, 3]];
    let [a, b] = skips.map(|skips| -> Result<_> {
        let data = circular_skip_links(11, &skips, false)?;
        Ok(temporal_graph(&[&data], Absent::MinusOne, device)?)
    });
    let (a, b) = (a?, b?);
    let sizes = Sizes { inputs: 1, outputs: 4, fixed: false, activation: Activation::Softplus };
    let difference = |kind: Kind, seed: u64| {
        device.seed(seed);
        let network = Network::new(kind, sizes, device);
        (network.forecast(&a) - network.forecast(&b)).abs().max().into_scalar::<f64>()
    };
    let bounds = |kind: Kind| {
        let all: Vec<f64> = (0..seeds).map(|seed| difference(kind, seed)).collect();
        let (low, high) = (f64::INFINITY, 0.0);
        let bounds = all.iter().fold((low, high), |(l, h), &d| (d.min(l), d.max(h)));
        (kind, bounds.0, bounds.1)
    };
    Ok(Kind::ALL.map(bounds).to_vec())
}
