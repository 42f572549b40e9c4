//! The program itself, as a process, from its arguments to its exit code: between real registries, and before
//! registries in memory that misbehave.

mod certificates;
mod chaos;
mod credentials;
mod daemon;
mod gate;
mod htpasswd;
mod import;
mod login;
mod looking;
mod memory;
mod nginx;
mod outages;
mod proxy;
mod real;
mod realms;
mod refusals;
mod secrets;
mod serve;
mod stop;
mod support;
mod sync;
mod tokens;
mod wrong_input;
