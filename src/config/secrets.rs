//! Logins, and where their secrets are: in the file itself, in a file of their own, in a variable.

use std::ops::Range;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;

use super::expand::{is_variable_name, only_variable};
use super::problems::Problems;
use super::values;
use super::written::{Entry, span};
use crate::registry::{Credentials, Password, checked_username};

/// The keys that say who we are.
pub(super) struct Logins {
    pub(super) username: Entry<String>,
    pub(super) literal: Entry<SecretString>,
    pub(super) file: Entry<String>,
    pub(super) variable: Entry<String>,
}

impl Logins {
    pub(super) fn credentials(self, folder: &Path, problems: &mut Problems<'_>) -> Option<Credentials> {
        self.check_together(problems);
        let username = values::parsed(self.username, values::TEXT, problems, checked_username).map(Spanned::into_inner);
        let password = Secret { what: "password", literal: self.literal, file: self.file, variable: self.variable };
        let password = password.password(folder, problems);
        Some(Credentials::User { username: username?, password: password? })
    }

    /// One user name and one password, or neither.
    fn check_together(&self, problems: &mut Problems<'_>) {
        let spans = [span(self.literal.as_ref()), span(self.file.as_ref()), span(self.variable.as_ref())];
        let password = spans.into_iter().flatten().min_by_key(|span| span.start);
        match (span(self.username.as_ref()), password) {
            (Some(username), None) => {
                problems.add(&username, "needs one of `password_file`, `password_env` and `password` beside it");
            }
            (None, Some(password)) => problems.add(&password, "needs a `username` beside it"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

/// The keys of one secret: itself, its file or its variable, of which one counts.
pub(super) struct Secret {
    /// What it is, and what its keys begin with.
    pub(super) what: &'static str,
    pub(super) literal: Entry<SecretString>,
    pub(super) file: Entry<String>,
    pub(super) variable: Entry<String>,
}

impl Secret {
    /// Where the first of them stands.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        self.spans().into_iter().next()
    }

    pub(super) fn password(self, folder: &Path, problems: &mut Problems<'_>) -> Option<Password> {
        let what = self.what;
        only_one(what, self.spans(), problems);
        let literal = literal(self.literal, problems).map(Password::Literal);
        let in_place =
            |name: &str| format!("if it holds the {what} itself, write {what}_env = \"{name}\" in place of this");
        let file = secret_file(self.file, folder, in_place, problems).map(Password::File);
        let variable = variable(self.variable, problems).map(Password::Variable);
        literal.or(file).or(variable)
    }

    /// In the file's order.
    fn spans(&self) -> Vec<Range<usize>> {
        let spans = [span(self.literal.as_ref()), span(self.file.as_ref()), span(self.variable.as_ref())];
        let mut spans: Vec<Range<usize>> = spans.into_iter().flatten().collect();
        spans.sort_by_key(|span| span.start);
        spans
    }
}

/// Tells what is said a second time; `said` is in the file's order.
pub(super) fn only_one(what: &str, said: Vec<Range<usize>>, problems: &mut Problems<'_>) {
    if let Some((first, others)) = said.split_first() {
        let first = problems.name(first);
        for other in others {
            problems.add(other, format!("is a second {what}, beside {first}: leave one of them out"));
        }
    }
}

fn literal(entry: Entry<SecretString>, problems: &mut Problems<'_>) -> Option<SecretString> {
    let secret = entry?.of_kind(values::TEXT, problems)?;
    if secret.get_ref().expose_secret().is_empty() {
        problems.add(&secret.span(), "is empty");
        return None;
    }
    Some(secret.into_inner())
}

/// The name of a variable. Written as `${NAME}`, the secret itself would stand where its name belongs, and be shown
/// as one: so the value is not shown here either.
fn variable(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<String> {
    let name = entry?.of_kind(values::TEXT, problems)?;
    if problems.has_variable(&name.span()) || !is_variable_name(name.get_ref()) {
        problems.add(&name.span(), "must be a variable's bare name, as \"HUB_PASSWORD\", without `$` and braces");
        return None;
    }
    Some(name.into_inner())
}

/// A file with a secret in it, which may come later. Not so one whose path is a variable's whole value: where that is the
/// secret itself, by a slip, the path would be shown in every error. So the value is not shown here either. `in_place` says
/// what to do with such a variable.
pub(super) fn secret_file(
    entry: Entry<String>,
    folder: &Path,
    in_place: impl FnOnce(&str) -> String,
    problems: &mut Problems<'_>,
) -> Option<PathBuf> {
    let span = span(entry.as_ref())?;
    let path = folder.join(values::text(entry, problems)?);
    match only_variable(problems.written(&span)) {
        Some(name) if !path.metadata().is_ok_and(|found| !found.is_dir()) => {
            let in_place = in_place(name);
            let reason = format!("the variable {name} does not hold the path of a file that is there: {in_place}");
            problems.add(&span, reason);
            None
        }
        _ => Some(path),
    }
}
