//! Families of metrics, registered as they are made.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

/// Makes families and has the registry show them.
pub(super) struct Families<'a>(pub(super) &'a Registry);

impl Families<'_> {
    pub(super) fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.shown(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A counter of what comes in fractions.
    pub(super) fn sum(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec> {
        self.shown(CounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn count(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.shown(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.shown(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A gauge of the program as a whole.
    pub(super) fn single(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.shown(IntGauge::new(name, help)?)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec> {
        self.shown(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    fn shown<C: Collector + Clone + 'static>(&self, family: C) -> Result<C> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}
