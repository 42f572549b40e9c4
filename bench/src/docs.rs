//! Results where people read them: in a document, each between two marks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The folder with `performance.md` and its plots.
pub(crate) struct Docs(PathBuf);

impl Docs {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Writes what stands between `<!-- bench NAME -->` and `<!-- /bench -->`; a document without these marks is left as
    /// it is.
    pub(crate) fn section(&self, name: &str, text: &str) -> Result<()> {
        let path = self.0.join("performance.md");
        let document = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        if let Some(document) = replaced(&document, name, text) {
            fs::write(&path, document)?;
        }
        Ok(())
    }

    pub(crate) fn plot(&self, name: &str, svg: &str) -> Result<()> {
        Ok(fs::write(self.0.join(format!("performance-{name}.svg")), svg)?)
    }
}

fn replaced(document: &str, name: &str, text: &str) -> Option<String> {
    let mark = format!("<!-- bench {name} -->\n");
    let (before, rest) = document.split_once(&mark)?;
    let (_, after) = rest.split_once("<!-- /bench -->")?;
    Some(format!("{before}{mark}\n{}\n\n<!-- /bench -->{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_written_between_its_marks_and_nowhere_else() {
        let document = "# A\n<!-- bench a -->\nold\n<!-- /bench -->\n<!-- bench b -->\nkept\n<!-- /bench -->\n";

        let written = replaced(document, "a", "new\n").unwrap();

        let expected = "# A\n<!-- bench a -->\n\nnew\n\n<!-- /bench -->\n<!-- bench b -->\nkept\n<!-- /bench -->\n";
        assert_eq!(written, expected);
        assert_eq!(replaced(&written, "a", "new").unwrap(), written);
        assert_eq!(replaced(document, "c", "new"), None);
    }
}
