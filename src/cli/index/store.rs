//! Where lists are kept until they are pushed: a file for each, in the user's state directory.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::cli::replace::replace;
use crate::oci::{Digest, Reference};
use crate::transfer::Composition;

/// A list that is not pushed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Draft {
    /// Where it is to be pushed.
    pub(super) name: Reference,
    #[serde(flatten)]
    pub(super) composition: Composition,
}

/// The lists of one user.
pub(super) struct Store {
    folder: PathBuf,
}

/// Names belong to nobody else; lists hold no secrets, but what one builds is one's own.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

impl Store {
    /// The one of whoever runs the program: `$XDG_STATE_HOME/regferry/index`, by default in `~/.local/state`.
    pub(super) fn of_user() -> Result<Self, Failure> {
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
        let state = state.ok_or_else(|| {
            Failure::failed("lists have no place to be kept in: set HOME, or XDG_STATE_HOME, to an absolute path")
        })?;
        Ok(Self { folder: state.join("regferry/index") })
    }

    /// A list, if there is one of this name.
    pub(super) fn find(&self, name: &Reference) -> Result<Option<Draft>, Failure> {
        let path = self.path(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::failed(format!("reading {}: {error}", path.display()))),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            Failure::failed(format!(
                "reading {}: {error}: it is no list that this program keeps; `regferry index rm {name}` removes it",
                path.display()
            ))
        })
    }

    /// A list that has to be there.
    pub(super) fn get(&self, name: &Reference) -> Result<Draft, Failure> {
        self.find(name)?.ok_or_else(|| no_such_list(name))
    }

    /// Makes a list of what is there under its name. Nobody else changes anything meanwhile.
    pub(super) fn edit(
        &self,
        name: &Reference,
        change: impl FnOnce(Option<Draft>) -> Result<Draft, Failure>,
    ) -> Result<Draft, Failure> {
        let _alone = self.lock()?;
        let draft = change(self.find(name)?)?;
        let text = serde_json::to_string_pretty(&draft).map_err(Failure::failed)? + "\n";
        let path = self.path(name);
        let written = replace(&path, text.as_bytes(), FILE_MODE);
        written.map_err(|error| Failure::failed(format!("writing {}: {error}", path.display())))?;
        Ok(draft)
    }

    /// Removes a list, whatever its file says.
    pub(super) fn remove(&self, name: &Reference) -> Result<(), Failure> {
        let _alone = self.lock()?;
        self.remove_file(name)
    }

    /// Removes a list that was pushed, unless somebody has changed it since. Returns whether it is gone.
    pub(super) fn remove_if_unchanged(&self, pushed: &Draft) -> Result<bool, Failure> {
        let _alone = self.lock()?;
        match self.find(&pushed.name)? {
            Some(draft) if draft == *pushed => self.remove_file(&pushed.name).map(|()| true),
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    fn remove_file(&self, name: &Reference) -> Result<(), Failure> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_such_list(name)),
            Err(error) => Err(Failure::failed(format!("removing {}: {error}", path.display()))),
            Ok(()) => Ok(()),
        }
    }

    /// Held while a file is read and replaced: of two commands that change a list at once none undoes the other's.
    fn lock(&self) -> Result<File, Failure> {
        let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder);
        let locked = made.and_then(|()| File::open(&self.folder)).and_then(|folder| folder.lock().map(|()| folder));
        locked.map_err(|error| Failure::failed(format!("locking {}: {error}", self.folder.display())))
    }

    /// The list's name with what no file name has written as in URLs; one that is too long ends in its hash.
    fn path(&self, name: &Reference) -> PathBuf {
        const LONGEST: usize = 200;
        let name = name.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let escaped: String =
            name.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) }).collect();
        let file = if escaped.len() > LONGEST {
            let hash = Digest::of(name.as_bytes()).to_string().replace(':', "-");
            format!("{}-{hash}.json", &escaped[..LONGEST - hash.len()])
        } else {
            format!("{escaped}.json")
        };
        Path::new(&self.folder).join(file)
    }
}

fn no_such_list(name: &Reference) -> Failure {
    Failure::failed(format!("No such manifest: {name}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::thread;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().join("regferry/index") };
        (folder, store)
    }

    fn draft(name: &str) -> Draft {
        let name = name.parse().unwrap();
        Draft { name, composition: Composition::default() }
    }

    fn text(failure: Failure) -> String {
        match failure {
            Failure::Usage(text) | Failure::Failed(text) => text,
        }
    }

    #[test]
    fn a_list_is_kept_under_its_name_as_text() {
        let (_folder, store) = store();
        let draft = draft("localhost:5000/team/app:v1");
        assert_eq!(store.find(&draft.name).unwrap(), None);
        store.edit(&draft.name, |before| Ok(before.unwrap_or(draft.clone()))).unwrap();

        assert_eq!(store.get(&draft.name).unwrap(), draft);
        let file = store.folder.join("localhost%3A5000%2Fteam%2Fapp%3Av1.json");
        assert!(fs::read_to_string(&file).unwrap().contains(r#""name": "localhost:5000/team/app:v1""#));
        store.remove(&draft.name).unwrap();
        assert_eq!(text(store.remove(&draft.name).unwrap_err()), format!("No such manifest: {}", draft.name));
        assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn names_of_any_length_have_files_of_their_own() {
        let (_folder, store) = store();
        let long = |end: &str| draft(&format!("registry.example/{}/app:{end}", "a".repeat(200)));
        for draft in [long("v1"), long("v2")] {
            store.edit(&draft.name, |before| Ok(before.map_or(draft.clone(), |_| panic!("it is another's")))).unwrap();
            assert_eq!(store.get(&draft.name).unwrap(), draft);
        }
    }

    #[test]
    fn what_is_broken_is_named_with_its_file_and_can_be_removed() {
        let (_folder, store) = store();
        let draft = draft("r.example/app:v1");
        store.edit(&draft.name, |_| Ok(draft.clone())).unwrap();
        fs::write(store.path(&draft.name), "{").unwrap();
        let error = text(store.get(&draft.name).unwrap_err());
        assert!(error.contains("r.example%2Fapp%3Av1.json") && error.contains("regferry index rm"), "{error}");
        store.remove(&draft.name).unwrap();
    }

    #[test]
    fn of_commands_that_change_a_list_at_once_none_undoes_another() {
        let (_folder, store) = store();
        let draft = draft("r.example/app:v1");
        thread::scope(|threads| {
            for number in 0..16 {
                let (store, draft) = (&store, &draft);
                threads.spawn(move || {
                    store.edit(&draft.name, |before| {
                        let mut draft = before.unwrap_or(draft.clone());
                        draft.composition.annotations.insert(number.to_string(), String::new());
                        Ok(draft)
                    })
                });
            }
        });
        let kept: BTreeMap<String, String> = store.get(&draft.name).unwrap().composition.annotations;
        assert_eq!(kept.len(), 16);
    }

    #[test]
    fn a_list_that_was_changed_since_it_was_pushed_stays() {
        let (_folder, store) = store();
        let pushed = draft("r.example/app:v1");
        let mut changed = pushed.clone();
        changed.composition.annotations.insert("a".to_owned(), "b".to_owned());
        store.edit(&pushed.name, |_| Ok(changed.clone())).unwrap();
        assert!(!store.remove_if_unchanged(&pushed).unwrap());
        assert_eq!(store.get(&pushed.name).unwrap(), changed);
        assert!(store.remove_if_unchanged(&changed).unwrap());
        assert!(store.remove_if_unchanged(&changed).unwrap(), "it is gone already");
    }
}
