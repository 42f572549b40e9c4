//! What is under `deploy/`, and the Dockerfile: held against this version of the program and against the programs that
//! will read it, real ones where there are any, else the rules that they publish.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod alerts;
mod compose;
mod dashboard;
mod deployed;
mod dockerfile;
mod files;
mod helm;
mod kubernetes;
mod manifests;
mod pushgateway;
mod systemd;
mod tools;

// The program as a process. What is not called here is called by the other tests of it.
#[path = "../end_to_end/daemon.rs"]
#[allow(dead_code)]
mod daemon;
#[path = "../end_to_end/support.rs"]
#[allow(dead_code)]
mod support;
