//! Media types of the documents that registries keep.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI artifact manifest: left out of the final spec 1.1, still found in registries.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The configuration of an OCI image; artifacts have configurations of other types.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The configuration of a Docker image.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The annotation that says when something was made. Source: OCI image-spec, "Annotations".
pub const CREATED: &str = "org.opencontainers.image.created";
/// Docker schema 1, signed and unsigned: refused, since its digest does not cover the bytes that are sent.
pub const DOCKER_SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
];

/// What is sent as `Accept` with every manifest request, HEAD and GET alike: a registry that does not see a type here
/// converts the document, or answers 404. Generic types last, for registries that name a manifest so.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json, \
    */*;q=0.1";

/// A `Content-Type` without its parameters: `application/json; charset=utf-8` is `application/json`.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether descriptors of this type point at a document (rather than a blob).
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | OCI_INDEX | OCI_ARTIFACT | DOCKER_MANIFEST | DOCKER_LIST)
        || DOCKER_SCHEMA_1.contains(&media_type)
}

/// Whether a document of this type lists other documents.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

/// Whether this is the configuration of an image, which says what the image runs on.
pub fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// Whether layers of this type are kept out of registries (Windows' base layers): neither fetched nor pushed.
pub fn is_foreign_layer(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
        || media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
}
