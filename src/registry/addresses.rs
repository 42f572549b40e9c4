//! Which addresses a token server may have.

use std::net::{IpAddr, SocketAddr};

use futures_util::future::BoxFuture;
use url::{Host as UrlHost, Url};

use crate::http_client::{Addresses, Resolve};
use crate::oci::Host;

/// Resolves the names of realms. A private, loopback or link-local address that the registry does not have itself is
/// not connected to: a registry could have us knock at doors that are closed to it.
pub(super) struct RealmAddresses {
    registry: Url,
    trusted: Vec<Host>,
}

/// Why an address is not connected to.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct ClosedDoor(pub(super) String);

impl RealmAddresses {
    pub(super) fn new(registry: &Url, trusted: &[Host]) -> Self {
        Self { registry: registry.clone(), trusted: trusted.to_vec() }
    }

    /// Whether an address may be connected to, that a realm of this name has.
    pub(super) async fn check(&self, address: IpAddr, name: &str) -> Result<(), String> {
        if !is_private(address) || self.is_trusted(name) || self.is_own(address).await {
            return Ok(());
        }
        Err(format!(
            "the registry sends logins to {name}, which is {address}, a private address that is not its own: nothing was \
             sent there; if that is right, add it to trusted_realms"
        ))
    }

    fn is_trusted(&self, name: &str) -> bool {
        self.trusted.iter().any(|host| host.name() == name)
    }

    /// Whether the registry has the address itself; of this machine's, one is as good as the other.
    async fn is_own(&self, address: IpAddr) -> bool {
        let own = match literal(&self.registry) {
            Some(own) => vec![own],
            None => lookup(self.registry.host_str().unwrap_or_default()).await.unwrap_or_default(),
        };
        own.contains(&address) || (address.is_loopback() && own.iter().any(IpAddr::is_loopback))
    }
}

impl Resolve for RealmAddresses {
    fn resolve(&self, name: String) -> BoxFuture<'static, Addresses> {
        let this = Self::new(&self.registry, &self.trusted);
        Box::pin(async move {
            let (mut open, mut closed) = (Vec::new(), None);
            for address in lookup(&name).await? {
                // The registry's own name is its own, whichever of its addresses it has this time.
                match this.check(address, &name).await {
                    Err(reason) if this.registry.host_str() != Some(&*name) => closed = Some(ClosedDoor(reason)),
                    _ => open.push(SocketAddr::new(address, 0)),
                }
            }
            match closed.filter(|_| open.is_empty()) {
                Some(closed) => Err(closed.into()),
                None => Ok(open),
            }
        })
    }
}

async fn lookup(name: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // The last are the addresses that providers share among their customers (RFC 6598).
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The address that stands in a URL in place of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        UrlHost::Ipv4(address) => Some(address.into()),
        UrlHost::Ipv6(address) => Some(address.into()),
        UrlHost::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_not_connected_to() {
        let resolve = |registry: &str, name: &'static str| {
            let addresses = RealmAddresses::new(&registry.parse().unwrap(), &[]);
            async move { addresses.resolve(name.to_owned()).await }
        };
        let refused = resolve("https://203.0.113.5/", "localhost").await.err().unwrap();
        assert!(refused.to_string().contains("private address"), "{refused}");
        assert!(resolve("https://localhost/", "localhost").await.is_ok(), "the registry is there itself");
    }
}
