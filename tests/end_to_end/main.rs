//! The program itself, as a process, from its arguments to its exit code: between real registries, and before
//! registries in memory that misbehave.

mod credentials;
mod daemon;
mod gate;
mod import;
mod looking;
mod memory;
mod real;
mod refusals;
mod serve;
mod stop;
mod support;
mod sync;
mod wrong_input;
