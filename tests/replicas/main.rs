//! Replicas of a cluster as processes, over real `nats-server` and `docker-registry` processes.

mod deaths;
mod fleet;
mod limits;
mod registry_log;
mod spread;
mod standing_down;

// The program as a process. What is not called here is called by the other tests of it.
#[path = "../end_to_end/daemon.rs"]
#[allow(dead_code)]
mod daemon;
#[path = "../end_to_end/support.rs"]
#[allow(dead_code)]
mod support;
