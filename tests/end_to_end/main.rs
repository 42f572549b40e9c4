//! The program itself, as a process, from its arguments to its exit code: between real registries, and before
//! registries in memory that misbehave.

mod artifacts;
mod certificates;
mod chaos;
mod credentials;
mod daemon;
mod delete;
mod gate;
mod htpasswd;
mod import;
mod log;
mod login;
mod looking;
mod many_rules;
mod memory;
mod metrics_file;
mod nginx;
mod online;
mod outages;
mod proxy;
mod prune;
mod real;
mod realms;
mod refusals;
mod reload;
mod secrets;
mod serve;
mod soak;
mod status;
mod stop;
mod support;
mod sync;
mod systemd;
mod tokens;
mod verify;
mod wrong_input;
