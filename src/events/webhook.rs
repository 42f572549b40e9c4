//! What registries send when something was pushed.

/// Whose messages they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookKind {
    /// Distribution's notifications.
    Distribution,
    /// Azure Container Registry's webhooks, by itself or through Event Grid.
    Acr,
    /// Harbor's.
    Harbor,
    /// Docker Hub's.
    DockerHub,
    /// Quay's.
    Quay,
    /// GitHub's, of its container registry.
    Ghcr,
}

impl WebhookKind {
    /// Each of them.
    pub const ALL: [Self; 6] = [Self::Distribution, Self::Acr, Self::Harbor, Self::DockerHub, Self::Quay, Self::Ghcr];

    /// As it stands in paths, in the configuration and in the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Acr => "acr",
            Self::Harbor => "harbor",
            Self::DockerHub => "dockerhub",
            Self::Quay => "quay",
            Self::Ghcr => "ghcr",
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookOutcome {
    /// Rules read what was pushed, and will run.
    Accepted,
    /// No rule reads what was pushed.
    Unmatched,
    /// It tells of no push.
    Ignored,
    /// It is not what such messages are, or too large, or came too slowly.
    Invalid,
    /// Who sent it did not show the secret.
    Unauthorized,
    /// It came while the daemon had too much to do, or was stopping.
    Refused,
}

impl WebhookOutcome {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Unmatched, Self::Ignored, Self::Invalid, Self::Unauthorized, Self::Refused];

    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unmatched => "unmatched",
            Self::Ignored => "ignored",
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
        }
    }
}
