//! Imports: what is written where, in which order, and what it costs.

mod choice;
mod dry_run;
mod limits;
mod referrers;
mod retag;
mod tags;

use std::sync::Arc;

use regferry::transfer::{Engine, Extent, Import, ImportError, Imported};
use testkit::FakeRegistry;
use tokio_util::sync::CancellationToken;

use crate::support::reference;

async fn pair() -> (FakeRegistry, FakeRegistry) {
    (FakeRegistry::start().await, FakeRegistry::start().await)
}

/// An import of `app:v1` to these names at the target.
fn of(source: &FakeRegistry, target: &FakeRegistry, names: &[&str]) -> Import {
    let targets = names.iter().map(|name| reference(&format!("{}/{name}", target.host()))).collect();
    Import::new(reference(&format!("{}/app:v1", source.host())), targets)
}

/// Those platforms alone.
fn only(import: Import, platforms: &[&str]) -> Import {
    let platforms: Vec<_> = platforms.iter().map(|text| text.parse().unwrap()).collect();
    Import { extent: Extent::of(&platforms).unwrap(), ..import }
}

async fn run(engine: &Arc<Engine>, import: &Import) -> Result<Imported, ImportError> {
    engine.import(import, &CancellationToken::new()).await
}

/// What was imported, all of it well.
async fn done(engine: &Arc<Engine>, import: &Import) -> Imported {
    let imported = run(engine, import).await.unwrap();
    let errors: Vec<_> = imported.images.iter().filter_map(|image| image.error.clone()).collect();
    assert_eq!(errors, Vec::<String>::new());
    imported
}
