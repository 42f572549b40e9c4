//! What a request is about.

use std::fmt;

/// The requests of the distribution spec, as far as copies make them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ListTags,
    HeadManifest,
    GetManifest,
    PutManifest,
    HeadBlob,
    GetBlob,
    /// Opens an upload that is also an attempt to mount.
    Mount,
    /// Opens an upload.
    PostUpload,
    PatchUpload,
    PutUpload,
    Other,
}

impl Kind {
    /// Tells it from the request's first line. Repositories may be called like parts of the API, so the marks are looked
    /// for from the right.
    pub(super) fn of(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let part = path.rsplit_once('/').map_or("", |(folder, _)| folder.rsplit('/').next().unwrap_or_default());
        match (method, part) {
            ("GET", "tags") => Self::ListTags,
            ("HEAD", "manifests") => Self::HeadManifest,
            ("GET", "manifests") => Self::GetManifest,
            ("PUT", "manifests") => Self::PutManifest,
            ("HEAD", "blobs") => Self::HeadBlob,
            ("GET", "blobs") => Self::GetBlob,
            ("POST", "uploads") if query.split('&').any(|pair| pair.starts_with("mount=")) => Self::Mount,
            ("POST", "uploads" | "blobs") => Self::PostUpload,
            ("PATCH", "uploads") => Self::PatchUpload,
            ("PUT", "uploads") => Self::PutUpload,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListTags => "GET tag list",
            Self::HeadManifest => "HEAD manifest",
            Self::GetManifest => "GET manifest",
            Self::PutManifest => "PUT manifest",
            Self::HeadBlob => "HEAD blob",
            Self::GetBlob => "GET blob",
            Self::Mount => "POST mount",
            Self::PostUpload => "POST upload",
            Self::PatchUpload => "PATCH upload",
            Self::PutUpload => "PUT upload",
            Self::Other => "other",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(Kind::of("GET", "/v2/"), Kind::Other);
        assert_eq!(Kind::of("GET", "/v2/_catalog?n=100"), Kind::Other);
        assert_eq!(Kind::of("GET", "/v2/corpus/app/tags/list?n=1000"), Kind::ListTags);
        assert_eq!(Kind::of("HEAD", "/v2/app/manifests/1.0"), Kind::HeadManifest);
        assert_eq!(Kind::of("GET", "/v2/my/blobs/x/manifests/sha256:ab"), Kind::GetManifest);
        assert_eq!(Kind::of("HEAD", "/v2/app/blobs/sha256:ab"), Kind::HeadBlob);
        assert_eq!(Kind::of("POST", "/v2/app/blobs/uploads/"), Kind::PostUpload);
        assert_eq!(Kind::of("POST", "/v2/app/blobs/uploads/?from=b&mount=sha256:ab"), Kind::Mount);
        assert_eq!(Kind::of("PUT", "/v2/app/blobs/uploads/7?_state=x&digest=sha256:ab"), Kind::PutUpload);
    }
}
