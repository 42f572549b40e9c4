//! Where a registry sends us for tokens, and what may be sent there.

use url::Url;

use super::Challenge;
use crate::oci::Host;
use crate::registry::addresses::{RealmAddresses, literal};
use crate::registry::location::same_origin;

/// A token server, by a registry's challenge.
#[derive(Debug, Clone)]
pub(super) struct Realm {
    pub(super) url: Url,
    pub(super) service: Option<String>,
}

impl Realm {
    pub(super) fn from_challenge(challenge: &Challenge) -> Option<Self> {
        let mut url: Url = challenge.parameters.get("realm")?.parse().ok()?;
        url.host()?;
        // A login that the registry makes up is none of ours.
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { url, service: challenge.parameters.get("service").cloned() })
    }
}

/// What a registry's word is worth: which realms get its logins.
pub(in crate::registry) struct Trust {
    registry: Host,
    base: Url,
    trusted: Vec<Host>,
}

/// How near a realm is to its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinship {
    /// Its own origin: scheme, host and port.
    Origin,
    /// Its own host, at another port.
    Host,
    /// Its own domain, or one that the user trusts.
    Domain,
    /// None: nothing of ours goes there.
    Stranger,
}

impl Trust {
    pub(in crate::registry) fn new(registry: &Host, base: &Url, trusted: &[Host]) -> Self {
        Self { registry: registry.clone(), base: base.clone(), trusted: trusted.to_vec() }
    }

    pub(super) fn registry(&self) -> &Host {
        &self.registry
    }

    /// What may be sent to the realm.
    ///
    /// # Errors
    /// If nothing at all may, as a text: it would go in clear, or into a private network.
    pub(super) async fn in_realm(&self, realm: &Realm, addresses: &RealmAddresses) -> Result<Kinship, String> {
        if realm.url.scheme() != "https" && (realm.url.scheme() != "http" || self.base.scheme() != "http") {
            return Err(format!(
                "the registry sends logins to {}, which is not HTTPS: nothing was sent there",
                self.written(realm)
            ));
        }
        if let Some(address) = literal(&realm.url) {
            addresses.check(address, realm.url.host_str().unwrap_or_default()).await?;
        }
        Ok(self.kinship(&realm.url))
    }

    /// Why a login does not go to a stranger.
    pub(super) fn refusal(&self, realm: &Realm) -> String {
        let host = realm.url.host_str().unwrap_or_default();
        format!(
            "the registry sends logins to {}, which is not of its own domain: nothing was sent there; if that is \
             right, add {host:?} to trusted_realms in [registries.\"{}\"]",
            self.written(realm),
            self.registry
        )
    }

    fn kinship(&self, url: &Url) -> Kinship {
        if same_origin(url, &self.base) {
            Kinship::Origin
        } else if url.host() == self.base.host() || (is_loopback(url) && is_loopback(&self.base)) {
            Kinship::Host
        } else if is_named(url, &self.trusted) || same_domain(url, &self.base) {
            Kinship::Domain
        } else {
            Kinship::Stranger
        }
    }

    fn written(&self, realm: &Realm) -> String {
        realm.url.origin().ascii_serialization()
    }
}

/// Whether a list names the URL's host, with its port or without.
fn is_named(url: &Url, hosts: &[Host]) -> bool {
    let Some(name) = url.host_str() else { return false };
    let with_port = url.port_or_known_default().map(|port| format!("{name}:{port}"));
    hosts.iter().any(|host| host.as_str() == name || with_port.as_deref() == Some(host.as_str()))
}

/// Whether two names belong to whoever registered their domain, by the public suffix list.
fn same_domain(a: &Url, b: &Url) -> bool {
    match (a.domain().and_then(psl::domain_str), b.domain().and_then(psl::domain_str)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().and_then(|host| host.parse::<Host>().ok()).is_some_and(|host| host.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(registry: &str, base: &str, trusted: &[&str]) -> Trust {
        let trusted: Vec<Host> = trusted.iter().map(|host| host.parse().unwrap()).collect();
        Trust::new(&registry.parse().unwrap(), &base.parse().unwrap(), &trusted)
    }

    async fn kinship(trust: &Trust, realm: &str) -> Result<Kinship, String> {
        let addresses = RealmAddresses::new(&trust.base, &trust.trusted);
        trust.in_realm(&Realm { url: realm.parse().unwrap(), service: None }, &addresses).await
    }

    #[tokio::test]
    async fn logins_go_to_the_registrys_own_domain_and_to_whom_the_user_trusts() {
        let hub = trust("docker.io", "https://registry-1.docker.io/v2/", &["auth.other.example"]);
        for (realm, expected) in [
            ("https://registry-1.docker.io/token", Kinship::Origin),
            ("https://registry-1.docker.io:8443/token", Kinship::Host),
            ("https://auth.docker.io/token", Kinship::Domain),
            ("https://auth.other.example/token", Kinship::Domain),
            ("https://auth.docker.io.evil.example/token", Kinship::Stranger),
            ("https://other.example/token", Kinship::Stranger),
        ] {
            assert_eq!(kinship(&hub, realm).await, Ok(expected), "{realm}");
        }
    }

    #[tokio::test]
    async fn who_shares_a_public_suffix_only_is_a_stranger() {
        let one = trust("one.co.uk", "https://one.co.uk/v2/", &[]);
        assert_eq!(kinship(&one, "https://two.co.uk/token").await, Ok(Kinship::Stranger));
        assert_eq!(kinship(&one, "https://auth.one.co.uk/token").await, Ok(Kinship::Domain));
    }

    #[tokio::test]
    async fn nothing_goes_in_clear_unless_the_registry_is_plain_itself() {
        let secure = trust("r.example", "https://r.example/v2/", &[]);
        assert!(kinship(&secure, "http://r.example/token").await.unwrap_err().contains("not HTTPS"));
        assert!(kinship(&secure, "ftp://r.example/token").await.is_err());
        let plain = trust("127.0.0.1:5000", "http://127.0.0.1:5000/v2/", &[]);
        assert_eq!(kinship(&plain, "http://127.0.0.1:5001/token").await, Ok(Kinship::Host));
        assert_eq!(kinship(&plain, "http://localhost:5001/token").await, Ok(Kinship::Host));
        assert_eq!(kinship(&plain, "http://[::1]:5001/token").await, Ok(Kinship::Host));
    }

    #[tokio::test]
    async fn private_addresses_are_closed_doors() {
        let public = trust("203.0.113.5", "https://203.0.113.5/v2/", &["10.0.0.9"]);
        for address in
            ["10.0.0.8", "127.0.0.1", "169.254.169.254", "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.8]"]
        {
            let refused = kinship(&public, &format!("https://{address}/token")).await;
            assert!(refused.unwrap_err().contains("a private address that is not its own"), "{address}");
        }
        assert_eq!(kinship(&public, "https://10.0.0.9/token").await, Ok(Kinship::Domain), "trusted by name");
        assert_eq!(kinship(&public, "https://198.51.100.7/token").await, Ok(Kinship::Stranger));
        let private = trust("10.0.0.8", "https://10.0.0.8/v2/", &[]);
        assert_eq!(kinship(&private, "https://10.0.0.8:8443/token").await, Ok(Kinship::Host));
    }
}
