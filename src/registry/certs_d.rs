//! `certs.d`: a folder a registry with its certificates, as Docker and podman have it.
//!
//! `certs.d/HOST[:PORT]/*.crt` are authorities, `NAME.cert` with `NAME.key` is a client certificate.
//! Source: containers-certs.d(5); Docker's documentation, "Verify repository client with certificates".

use std::path::{Path, PathBuf};

use super::settings::{Identity, Settings};
use crate::oci::Host;

/// The folders that are looked into; what does not exist is passed over.
#[derive(Debug, Clone, Default)]
pub struct CertificateFolders(Vec<PathBuf>);

impl CertificateFolders {
    /// These folders, the first one's client certificate before the second's.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// Podman's of the user and of the machine, then Docker's.
    pub fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let of_the_user = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let of_the_user = of_the_user.map(|config| config.join("containers/certs.d"));
        let of_the_machine = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        Self(of_the_user.into_iter().chain(of_the_machine).collect())
    }

    /// The folders of one registry.
    pub(super) fn of(&self, host: &Host) -> impl Iterator<Item = PathBuf> {
        self.0.iter().map(|folder| folder.join(host.as_str()))
    }

    /// The settings with what the folders have for the host. What is configured comes first.
    ///
    /// # Errors
    /// If a folder is there and cannot be read, or a certificate in it has no key.
    pub(super) fn add_to(&self, settings: Settings, host: &Host) -> Result<Settings, String> {
        let mut settings = settings;
        for folder in self.of(host) {
            let files = files(&folder)?;
            settings.ca_files.extend(files.iter().filter(|file| has_extension(file, "crt")).cloned());
            if settings.identity.is_none() {
                settings.identity = identity(&files)?;
            }
        }
        Ok(settings)
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        // As Docker's tools do: another user's folder is none of ours.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            tracing::debug!("{} may not be read: passed over", folder.display());
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut files =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    files.sort();
    Ok(files)
}

fn identity(files: &[PathBuf]) -> Result<Option<Identity>, String> {
    let Some(certificate) = files.iter().find(|file| has_extension(file, "cert")) else { return Ok(None) };
    let key = certificate.with_extension("key");
    if !files.contains(&key) {
        return Err(format!("{} has no {} beside it", certificate.display(), key.display()));
    }
    Ok(Some(Identity { certificate: certificate.clone(), key }))
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("r.example:5000");
        std::fs::create_dir(&inside).unwrap();
        names.iter().for_each(|name| std::fs::write(inside.join(name), "").unwrap());
        (folder, "r.example:5000".parse().unwrap())
    }

    fn found(folder: &tempfile::TempDir, host: &Host) -> Result<Settings, String> {
        CertificateFolders::new(vec![folder.path().into()]).add_to(Settings::for_host(host), host)
    }

    #[test]
    fn authorities_and_a_client_certificate_are_found_by_their_names() {
        let (folder, host) = folder_with(&["a.crt", "b.crt", "client.cert", "client.key", "readme"]);
        let settings = found(&folder, &host).unwrap();
        let names: Vec<_> = settings.ca_files.iter().map(|file| file.file_name().unwrap()).collect();
        assert_eq!(names, ["a.crt", "b.crt"]);
        assert!(settings.identity.unwrap().key.ends_with("r.example:5000/client.key"));
        let other = found(&folder, &"r.example".parse().unwrap()).unwrap();
        assert!(other.ca_files.is_empty() && other.identity.is_none());
    }

    #[test]
    fn a_certificate_without_its_key_is_told() {
        let (folder, host) = folder_with(&["client.cert", "other.key"]);
        assert!(found(&folder, &host).unwrap_err().contains("client.key beside it"));
    }

    #[test]
    fn what_is_configured_comes_first() {
        let (folder, host) = folder_with(&["client.cert", "client.key"]);
        let own = Identity { certificate: "own.pem".into(), key: "own.key".into() };
        let settings = Settings { identity: Some(own.clone()), ..Settings::for_host(&host) };
        let settings = CertificateFolders::new(vec![folder.path().into()]).add_to(settings, &host).unwrap();
        assert_eq!(settings.identity, Some(own));
    }
}
