//! Numbers of bytes, for people.

use std::fmt;

/// A number of bytes in units that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let steps = (self.0.ilog2() / 10) as usize;
        let unit = UNITS[(steps - 1).min(UNITS.len() - 1)];
        write!(f, "{:.1} {unit}", self.0 as f64 / 1024f64.powi(steps.min(UNITS.len()) as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (48 << 20, "48.0 MiB"), (u64::MAX, "16384.0 PiB")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
