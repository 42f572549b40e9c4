//! What `docker login` leaves behind.

/// `reader:s3cret`, as Docker writes it down.
pub(crate) const RIGHT: &str = "cmVhZGVyOnMzY3JldA==";
/// `reader:wrong`.
pub(crate) const WRONG: &str = "cmVhZGVyOndyb25n";

/// Where Docker keeps it in a home.
pub(crate) const FILE: &str = ".docker/config.json";

/// A Docker config with a login for each of these registries.
pub(crate) fn docker_config(logins: &[(&str, &str)]) -> String {
    let entries: Vec<_> = logins.iter().map(|(host, login)| format!(r#""{host}": {{"auth": "{login}"}}"#)).collect();
    format!(r#"{{"auths": {{{}}}}}"#, entries.join(", "))
}
