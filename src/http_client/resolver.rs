//! From a name to the addresses that are connected to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::BoxError;

/// The addresses of a name, or why there are none.
pub type Addresses = Result<Vec<SocketAddr>, BoxError>;

/// Knows the addresses of names; their ports do not count.
pub trait Resolve: Send + Sync {
    /// The addresses that may be connected to.
    fn resolve(&self, name: String) -> BoxFuture<'static, Addresses>;
}

/// A [`Resolve`], or else the system.
#[derive(Clone)]
pub(super) struct Resolver(pub(super) Option<Arc<dyn Resolve>>);

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let name = name.as_str().to_owned();
        let resolving = match &self.0 {
            Some(resolve) => resolve.resolve(name),
            None => Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }),
        };
        Box::pin(async move { Ok(resolving.await?.into_iter()) })
    }
}
