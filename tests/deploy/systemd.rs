//! `deploy/systemd/regferry.service`: what it says of the program is so.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use regferry::config::Service;
use tempfile::TempDir;

use crate::files;

const UNIT: &str = "deploy/systemd/regferry.service";
const PROGRAM: &str = "/usr/local/bin/regferry";
const CONFIG: &str = "/etc/regferry/regferry.toml";

/// Nobody listens there.
const ONE_RULE: &str = "[[rules]]\nname = 'a'\nsource = 'localhost:1/a'\ntarget = 'localhost:1/b'\n";

/// The values of a key, in their order.
fn values(key: &str) -> Vec<String> {
    let unit = files::read(UNIT);
    let of_key = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    unit.lines().filter_map(of_key).collect()
}

fn value(key: &str) -> String {
    let [value] = values(key).try_into().unwrap_or_else(|values| panic!("{key} stands once: {values:?}"));
    value
}

fn duration(key: &str) -> Duration {
    humantime::parse_duration(&value(key)).unwrap()
}

/// The unit's own command, of the binary that was built and with the configuration at hand.
fn exec_start(config: &Path) -> Command {
    let line = value("ExecStart");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some(PROGRAM));
    let mut command = Command::new(env!("CARGO_BIN_EXE_regferry"));
    command.args(words.map(|word| if word == CONFIG { config.as_os_str() } else { word.as_ref() }));
    command.env("REGFERRY_LISTEN", "127.0.0.1:0").stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

fn configured(text: &str) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("regferry.toml");
    fs::write(&file, text).unwrap();
    let command = exec_start(&file);
    (folder, command)
}

fn send(signal: &str, child: &Child) {
    // The shell's own kill is everywhere; a program of that name is not.
    let id = child.id().to_string();
    let killed = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &id]).status();
    assert!(killed.unwrap().success());
}

#[test]
fn its_command_serves_and_ends_by_sigterm_with_a_code_that_counts_as_success() {
    let (_folder, mut command) = configured(ONE_RULE);
    let mut daemon = command.spawn().unwrap();
    let log = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let mut log = log.map(Result::unwrap);
    assert!(log.any(|line| line.contains("serving")), "{:?}", daemon.wait());

    send("TERM", &daemon);

    let told = log.collect::<Vec<_>>();
    let code = daemon.wait().unwrap().code().unwrap_or_else(|| panic!("it was killed: {told:?}"));
    assert!(value("SuccessExitStatus").split(' ').any(|success| success == code.to_string()), "{code}: {told:?}");
}

#[test]
fn a_configuration_that_is_wrong_is_not_started_again_and_again() {
    let (_folder, mut command) = configured("[service]\nlisten = 'nowhere'\n");

    let code = command.output().unwrap().status.code();

    assert_eq!(code.map(|code| code.to_string()), Some(value("RestartPreventExitStatus")));
}

#[test]
fn it_is_given_longer_to_stop_than_its_default_grace() {
    assert!(duration("TimeoutStopSec") > Service::default().shutdown_grace + Duration::from_secs(5));
}

#[test]
fn systemd_finds_nothing_to_complain_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("regferry.service");
    // The program has to be there.
    fs::write(&file, files::read(UNIT).replace(PROGRAM, env!("CARGO_BIN_EXE_regferry"))).unwrap();

    let told = systemd_analyze(&["verify", file.to_str().unwrap()]);

    assert_eq!(told, "", "no word is a good word");
}

/// 10 is no access to anything, 100 all that root has; a service that only speaks to the network is about 12.
#[test]
fn it_is_exposed_no_more_than_a_client_of_the_network_has_to_be() {
    let unit = format!("{}/{UNIT}", env!("CARGO_MANIFEST_DIR"));
    systemd_analyze(&["security", "--offline=true", "--threshold=15", "--no-pager", &unit]);
}

/// What it wrote to stderr. Fails if the tool is not there, or not content.
fn systemd_analyze(arguments: &[&str]) -> String {
    let output = Command::new("systemd-analyze").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("systemd-analyze (apt-get install systemd): {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    stderr.into_owned()
}
