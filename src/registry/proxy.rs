//! Forward proxies, by the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
//!
//! The HTTP client goes through them by itself; here stands what it does not do.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::content::{Cause, Unreachable};
use crate::oci::Host;

/// The proxy on the way to a URL, without its login. This machine is always spoken to directly, and so are all where
/// `NO_PROXY` says `*`.
pub(super) fn before(url: &Url) -> Option<String> {
    let all =
        |name: &str| std::env::var(name).is_ok_and(|exceptions| exceptions.split(',').any(|one| one.trim() == "*"));
    let is_this_machine = url.host_str()?.parse::<Host>().is_ok_and(|host| host.is_loopback());
    if is_this_machine || all("NO_PROXY") || all("no_proxy") {
        return None;
    }
    let uri: Uri = url.as_str().parse().ok()?;
    let proxy = Matcher::from_env().intercept(&uri)?;
    Some(format!("{}://{}", proxy.uri().scheme_str()?, proxy.uri().authority()?))
}

/// Why no answer came, seen through a proxy: what kept the connection from being made, the proxy did or knows.
pub(super) fn behind(proxy: &str, cause: Cause) -> Cause {
    let proxy = proxy.to_owned();
    Cause::Unreachable(match cause {
        Cause::Unreachable(Unreachable::Other(why)) if why.contains("proxy authorization required") => {
            Unreachable::ProxyLogin { proxy }
        }
        Cause::Unreachable(
            why @ (Unreachable::Refused | Unreachable::UnknownHost | Unreachable::Timeout | Unreachable::Other(_)),
        ) => Unreachable::Proxy { proxy, why: why.to_string() },
        other => return other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_keeps_from_us_names_it() {
        let through = |why| behind("http://proxy:3128", Cause::Unreachable(why)).to_string();
        assert_eq!(through(Unreachable::Refused), "through the proxy http://proxy:3128: connection refused");
        let login = through(Unreachable::Other("tunnel error: proxy authorization required".into()));
        assert_eq!(login, "the proxy http://proxy:3128 wants a login");
        assert_eq!(through(Unreachable::NoTls), "the other side does not speak TLS");
    }
}
