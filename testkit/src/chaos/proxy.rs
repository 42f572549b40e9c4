//! From a client's request to a registry's answer, and what befalls them between.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{client, server};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::body::{Closed, Passing, Wound};
use super::dice::Numbers;
use super::{Harm, Shared};
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
    let _ = socket.set_nodelay(true);
    let wire = Wire::new(socket);
    let flushed = wire.flushed();
    let service = service_fn(|request| answer(Arc::clone(&shared), request, flushed.clone()));
    // It ends in an error when the client leaves or a fault closes it: both are what a test wanted.
    let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(wire), service).await;
}

// An error makes hyper close the connection without an answer.
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    flushed: Flushed,
) -> Result<Response<Passing>, Closed> {
    shared.counters.came();
    let (parts, body) = request.into_parts();
    let way = Way { shared: &shared, to_client: flushed };
    if shared.calm.load(Relaxed) {
        return way.pass(parts, body, None).await;
    }
    let length = body.size_hint().exact().unwrap_or(0);
    let Some((harm, mut numbers)) = shared.dice.throw(&parts, length > 0) else {
        return way.pass(parts, body, None).await;
    };
    match harm {
        Harm::Throttle => way.refuse(harm, &[429], &mut numbers, body),
        Harm::ServerError => way.refuse(harm, &[500, 502, 503, 504], &mut numbers, body),
        Harm::NoAnswer => {
            shared.counters.committed(harm);
            Err(Closed)
        }
        Harm::CutRequest | Harm::StallRequest | Harm::CorruptRequest => {
            shared.counters.committed(harm);
            way.pass(parts, body, way.wound(harm, length, &mut numbers)).await
        }
        Harm::LoseAnswer | Harm::CutAnswer | Harm::StallAnswer | Harm::CorruptAnswer => {
            way.spoil(harm, parts, body, &mut numbers).await
        }
    }
}

/// The way of one request and its answer.
struct Way<'a> {
    shared: &'a Shared,
    to_client: Flushed,
}

impl Way<'_> {
    async fn pass(&self, parts: Parts, body: Incoming, wound: Option<Wound>) -> Result<Response<Passing>, Closed> {
        let answer = self.ask(parts, body, wound).await?;
        Ok(self.give(answer, None))
    }

    /// Does as it was asked, and spoils the answer, if it is one that this harm can spoil.
    async fn spoil(
        &self,
        harm: Harm,
        parts: Parts,
        body: Incoming,
        numbers: &mut Numbers,
    ) -> Result<Response<Passing>, Closed> {
        let about_content = is_content(&parts);
        let answer = self.ask(parts, body, None).await?;
        let length = answer.body().size_hint().exact().unwrap_or(0);
        let able = match harm {
            Harm::CutAnswer => length > 0,
            Harm::CorruptAnswer => length > 0 && about_content && answer.status().is_success(),
            _ => true,
        };
        if !able {
            return Ok(self.give(answer, None));
        }
        self.shared.counters.committed(harm);
        if harm == Harm::LoseAnswer || length == 0 {
            // Read to its end, so that the registry is done with it.
            let _ = answer.into_body().collect().await;
            if harm == Harm::StallAnswer {
                tokio::time::sleep(self.shared.stall).await;
            }
            return Err(Closed);
        }
        Ok(self.give(answer, self.wound(harm, length, numbers)))
    }

    /// A registry's word, without the registry.
    fn refuse(
        &self,
        harm: Harm,
        statuses: &[u16],
        numbers: &mut Numbers,
        body: Incoming,
    ) -> Result<Response<Passing>, Closed> {
        self.shared.counters.committed(harm);
        drain(body);
        let status = StatusCode::from_u16(numbers.one_of(statuses)).expect("a status has three digits");
        let mut answer = Response::new(self.answer_body(None, None));
        *answer.status_mut() = status;
        if let (Harm::Throttle, Some(pause)) = (harm, numbers.one_of(&[None, None, Some(0), Some(1)])) {
            answer.headers_mut().insert(RETRY_AFTER, pause.into());
        }
        Ok(answer)
    }

    /// What this harm does to a body of so many bytes.
    fn wound(&self, harm: Harm, length: u64, numbers: &mut Numbers) -> Option<Wound> {
        let at = numbers.below(length);
        match harm {
            Harm::CutRequest | Harm::CutAnswer => Some(Wound::Cut(at)),
            Harm::StallRequest | Harm::StallAnswer => Some(Wound::Stall(at, self.shared.stall)),
            Harm::CorruptRequest | Harm::CorruptAnswer => Some(Wound::Flip(at, 1 << numbers.below(8))),
            Harm::Throttle | Harm::ServerError | Harm::NoAnswer | Harm::LoseAnswer => None,
        }
    }

    /// Asks the registry, on a connection of its own: it ends with the client's.
    async fn ask(&self, parts: Parts, body: Incoming, wound: Option<Wound>) -> Result<Response<Incoming>, Closed> {
        let socket = TcpStream::connect(&self.shared.registry).await.map_err(|_| Closed)?;
        let _ = socket.set_nodelay(true);
        let wire = Wire::new(socket);
        let body = Passing::new(Some(body), wound, &self.shared.counters.sent, wire.flushed());
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(wire)).await.map_err(|_| Closed)?;
        // It ends when both bodies have ended or are dropped.
        tokio::spawn(connection);
        sender.send_request(Request::from_parts(parts, body)).await.map_err(|_| Closed)
    }

    fn give(&self, answer: Response<Incoming>, wound: Option<Wound>) -> Response<Passing> {
        answer.map(|body| self.answer_body(Some(body), wound))
    }

    fn answer_body(&self, body: Option<Incoming>, wound: Option<Wound>) -> Passing {
        Passing::new(body, wound, &self.shared.counters.received, self.to_client.clone())
    }
}

/// Whether a manifest's or a blob's bytes are asked for.
fn is_content(request: &Parts) -> bool {
    let path = request.uri.path();
    let names_it = path.contains("/manifests/") || path.contains("/blobs/") && !path.contains("/blobs/uploads/");
    request.method == Method::GET && names_it
}

/// Throws away what nobody will read, so that the answer arrives: a server that closes with bytes
/// unread resets the connection.
fn drain(mut body: Incoming) {
    if !body.is_end_stream() {
        tokio::spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
    }
}
