//! The full key of everything in the file, by where it stands: what a problem is called.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::oci::without_login;

/// Full keys by the byte at which a key or a value starts.
pub(super) struct Places(HashMap<usize, String>);

impl Places {
    pub(super) fn of(root: &DeTable<'_>) -> Self {
        let mut places = Self(HashMap::new());
        places.add_table(root, "");
        places
    }

    /// The key of what starts here: `registries."docker.io".tls`, `rules."hello".tags.include`.
    pub(super) fn key(&self, offset: usize) -> &str {
        self.0.get(&offset).map_or("", String::as_str)
    }

    fn add_table(&mut self, table: &DeTable<'_>, path: &str) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.0.insert(key.span().start, path.clone());
            self.add_value(value, &path);
        }
    }

    fn add_value(&mut self, value: &Spanned<DeValue<'_>>, path: &str) {
        self.0.insert(value.span().start, path.to_owned());
        match value.get_ref() {
            DeValue::Table(table) => self.add_table(table, path),
            DeValue::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    match element.get_ref() {
                        DeValue::Table(table) => self.add_value(element, &element_path(path, index, table)),
                        _ => self.add_value(element, path),
                    }
                }
            }
            _ => {}
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let key = if bare { key.to_owned() } else { format!("{:?}", without_login(key)) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// One of a list of tables is called by its name, or counted from one where it has none.
fn element_path(path: &str, index: usize, table: &DeTable<'_>) -> String {
    match table.get("name").and_then(|name| name.get_ref().as_str()) {
        Some(name) if !name.is_empty() => format!("{path}.{name:?}"),
        _ => format!("[[{path}]] #{}", index + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_full_quoted_where_needed_and_rules_go_by_name() {
        let text =
            "[registries.'docker.io']\ntls = 1\n[[rules]]\nname = 'a'\ntags.include = ['x']\n[[rules]]\nsource = 's'\n";
        let places = Places::of(DeTable::parse(text).unwrap().get_ref());
        for (at, key) in [
            ("tls", "registries.\"docker.io\".tls"),
            ("1", "registries.\"docker.io\".tls"),
            ("include", "rules.\"a\".tags.include"),
            ("'x'", "rules.\"a\".tags.include"),
            ("[[rules]]\nname", "rules.\"a\""),
            ("[[rules]]\nsource", "[[rules]] #2"),
            ("'s'", "[[rules]] #2.source"),
        ] {
            assert_eq!(places.key(text.find(at).unwrap()), key);
        }
    }
}
