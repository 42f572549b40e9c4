//! Writes the manual, a page for each command, into a folder: `make man`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("target/man"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(regferry::cli::command(), &folder)
}
