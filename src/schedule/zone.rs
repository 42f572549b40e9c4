//! Time zones, from the database that is built in: a container needs no files for them, and a configuration that holds
//! on one machine holds on all.

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(pub(super) TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of an IANA name, as `Europe/Berlin`, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown()).map(Self)
    }

    /// The names of all zones.
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_iana_names() {
        for name in ["Europe/Berlin", "america/new_york", "UTC", "Etc/GMT+2", "Asia/Kathmandu"] {
            assert!(Zone::named(name).is_some(), "{name}");
        }
        for name in ["", "Berlin", "Etc/Unknown", "../../etc/passwd", "+02:00", "CEST-2"] {
            assert!(Zone::named(name).is_none(), "{name}");
        }
        assert!(Zone::names().len() > 400);
    }
}
