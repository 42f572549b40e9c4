//! From a socket to an answer: record, hold, let in, strike, answer.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Shared;
use super::answer::{Answer, DOCKER_CONTENT_DIGEST, Reply};
use super::arriving::Arriving;
use super::options::Deletion;
use super::payload::{Cut, Payload};
use super::route::{Call, Endpoint};
use super::{blobs, listings, manifests, referrers, uploads};
use crate::wire::{Flushed, Wire};

/// Serves until the task is aborted, and its connections with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(connection(socket, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for the client's acknowledgement of the ones before.
    let _ = socket.set_nodelay(true);
    let wire = Wire::new(socket);
    let flushed = wire.flushed();
    let service = service_fn(|request| answer(Arc::clone(&shared), request, flushed.clone()));
    // It ends in an error when the client leaves or a fault closes it: both are what a test wanted.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(wire), service).await;
}

// An error makes hyper close the connection without an answer.
async fn answer(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
    flushed: Flushed,
) -> Result<Response<Payload>, Cut> {
    let (parts, body) = request.into_parts();
    let call = Call::new(parts);
    let (entry, flight) = (shared.log.arrived(&call), shared.flights.begin());
    shared.hooks.reached(entry.number()).await;
    let mut body = Arriving::new(body, Arc::clone(&entry));
    let mut answer = respond(&shared, &call, &mut body).await.ok_or(Cut)?;
    body.drain();
    if !shared.options.digest_header {
        answer.headers.remove(DOCKER_CONTENT_DIGEST);
    }
    entry.answered(answer.status.as_u16());
    Ok(answer.into_response(&call.method, flushed, entry, flight))
}

// Faults stand behind the door: a request that is turned away for want of a token uses none of them
// up.
async fn respond(shared: &Shared, call: &Call, body: &mut Arriving) -> Option<Answer> {
    if let Err(refusal) = shared.door.admit(call) {
        return Some(*refusal);
    }
    let effect = shared.faults.strike(call, shared.flights.now());
    if let Some(effect) = &effect {
        effect.harm(body);
    }
    let usual = async {
        let answer = handle(shared, call, &mut *body).await.unwrap_or_else(|error| *error);
        let answer = shared.pulls.announce(call, answer);
        answer.with(http::HeaderName::from_static("docker-distribution-api-version"), "registry/2.0")
    };
    match effect {
        Some(effect) => effect.apply(usual).await,
        None => Some(usual.await),
    }
    .filter(|_| !body.is_cut())
}

async fn handle(shared: &Shared, call: &Call, body: &mut Arriving) -> Reply {
    match (call.endpoint, &call.method) {
        (Endpoint::Base, &Method::GET | &Method::HEAD) => Ok(Answer::json(StatusCode::OK, &serde_json::json!({}))),
        (Endpoint::Token, &Method::GET) => shared.door.issue(call),
        (Endpoint::Token, &Method::POST) => shared.door.refresh(&body.form().await),
        (Endpoint::Exchange, &Method::POST) => shared.door.exchange(&body.form().await),
        (Endpoint::Manifest, &Method::GET) => shared.pulls.take().and_then(|()| manifests::get(shared, call)),
        (Endpoint::Manifest, &Method::HEAD) => manifests::get(shared, call),
        (Endpoint::Manifest, &Method::PUT) => manifests::put(shared, call, body).await,
        (Endpoint::Manifest | Endpoint::Blob, &Method::DELETE) if shared.options.deletion == Deletion::Off => {
            let message = "The operation is unsupported.";
            Err(Answer::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message, serde_json::json!(null)))
        }
        (Endpoint::Manifest, &Method::DELETE) => manifests::delete(shared, call),
        (Endpoint::Blob, &Method::GET | &Method::HEAD) => blobs::get(shared, call),
        (Endpoint::Blob, &Method::DELETE) => blobs::delete(shared, call),
        (Endpoint::Upload, &Method::POST) => uploads::post(shared, call),
        (Endpoint::Upload, &Method::PATCH) => uploads::patch(shared, call, body).await,
        (Endpoint::Upload, &Method::PUT) => uploads::put(shared, call, body).await,
        (Endpoint::Upload, &Method::GET) => uploads::status(shared, call),
        (Endpoint::Upload, &Method::DELETE) => uploads::delete(shared, call),
        (Endpoint::Tags, &Method::GET) => listings::tags(shared, call),
        (Endpoint::Catalog, &Method::GET) => listings::catalog(shared, call),
        (Endpoint::Referrers, &Method::GET) if shared.options.referrers => referrers::list(shared, call),
        // Distribution has no referrers, which its router says in plain text.
        (Endpoint::Referrers | Endpoint::Token | Endpoint::Exchange | Endpoint::Other, _) => Ok(Answer::not_routed()),
        _ => Ok(Answer::text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed\n")),
    }
}
