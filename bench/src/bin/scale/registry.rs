//! A registry that has as many tags as one likes, and costs little: its listings and digests are made up as they are asked
//! for. It counts how often each tag was looked at, and what else was asked.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use httparse::{EMPTY_HEADER, Request, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// So many tags in one answer, as many registries do.
const PAGE: usize = 1_000;

const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Listens on a loopback port until it is dropped.
pub(crate) struct Registry {
    host: String,
    shelf: Arc<Shelf>,
    server: JoinHandle<()>,
}

/// Repositories `app-<first>` and so on, each with the tags `t0000000` and so on.
struct Shelf {
    first: usize,
    repositories: Vec<Vec<AtomicU32>>,
    listings: AtomicU64,
    /// What was asked besides, and the first of it.
    others: AtomicU64,
    other: Mutex<Option<String>>,
}

/// What a registry was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) looks: u64,
    pub(crate) listings: u64,
    /// Tags that were looked at, and how often the one that was looked at most.
    pub(crate) tags: u64,
    pub(crate) most: u64,
}

impl Registry {
    /// With so many repositories from `first` on, of so many tags each.
    pub(crate) async fn start(first: usize, repositories: usize, tags: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let looks = || (0..tags).map(|_| AtomicU32::new(0)).collect();
        let shelf = Arc::new(Shelf {
            first,
            repositories: (0..repositories).map(|_| looks()).collect(),
            listings: AtomicU64::new(0),
            others: AtomicU64::new(0),
            other: Mutex::default(),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shelf)));
        Ok(Self { host, shelf, server })
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What it was asked so far.
    ///
    /// # Errors
    /// If there was something that looking at unchanged images does not need.
    pub(crate) fn asked(&self) -> Result<Asked> {
        let (shelf, others) = (&self.shelf, self.shelf.others.load(Relaxed));
        let other = shelf.other.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        ensure!(others == 0, "{others} requests of another kind, the first of them {other}");
        let looks = shelf.repositories.iter().flatten().map(|looks| u64::from(looks.load(Relaxed)));
        let none = Asked { listings: shelf.listings.load(Relaxed), ..Asked::default() };
        Ok(looks.fold(none, |asked, looks| Asked {
            looks: asked.looks + looks,
            tags: asked.tags + u64::from(looks > 0),
            most: asked.most.max(looks),
            ..asked
        }))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shelf: Arc<Shelf>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let shelf = Arc::clone(&shelf);
                // A client that leaves ends it with an error, which is the client's own affair.
                connections.spawn(async move { drop(connection(socket, &shelf).await) });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut socket: TcpStream, shelf: &Shelf) -> Result<()> {
    socket.set_nodelay(true)?;
    let (mut came, mut answer) = (Vec::with_capacity(4096), String::new());
    while socket.read_buf(&mut came).await? > 0 {
        answer.clear();
        while let Some(length) = shelf.answer(&came, &mut answer)? {
            came.drain(..length);
        }
        socket.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

impl Shelf {
    /// Answers one request, and returns its length; nothing while it is not complete. None of them has a body.
    fn answer(&self, came: &[u8], answer: &mut String) -> Result<Option<usize>> {
        let mut headers = [EMPTY_HEADER; 32];
        let mut request = Request::new(&mut headers);
        let Status::Complete(length) = request.parse(came)? else { return Ok(None) };
        let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        match self.answered(method, target) {
            Some(text) => answer.push_str(&text),
            None => {
                self.others.fetch_add(1, Relaxed);
                let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
                other.get_or_insert_with(|| format!("{method} {target}"));
                answer.push_str("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        }
        Ok(Some(length))
    }

    fn answered(&self, method: &str, target: &str) -> Option<String> {
        let (name, rest) = target.strip_prefix("/v2/app-")?.split_once('/')?;
        let number: usize = name.parse().ok()?;
        let tags = self.repositories.get(number.checked_sub(self.first)?)?;
        match (method, rest.split_once('/')?) {
            ("HEAD", ("manifests", tag)) => {
                let place: usize = tag.strip_prefix('t')?.parse().ok()?;
                tags.get(place)?.fetch_add(1, Relaxed);
                Some(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: 1000\r\n\
                     Docker-Content-Digest: sha256:{number:032x}{place:032x}\r\n\r\n"
                ))
            }
            ("GET", ("tags", query)) => {
                self.listings.fetch_add(1, Relaxed);
                page(name, tags.len(), query).ok()
            }
            _ => None,
        }
    }
}

/// `list?last=<tag>`: the next tags, and where those after them are.
fn page(name: &str, tags: usize, query: &str) -> Result<String> {
    let last = query.split(['?', '&']).find_map(|pair| pair.strip_prefix("last=t"));
    let from = last.map_or(Ok(0), |last| last.parse::<usize>().map(|last| last + 1)).context("a tag that is none")?;
    let to = tags.min(from + PAGE);
    let names: Vec<String> = (from..to).map(|place| format!("\"{}\"", tag(place))).collect();
    let body = format!("{{\"name\":\"app-{name}\",\"tags\":[{}]}}", names.join(","));
    let link = match to < tags {
        true => format!("Link: </v2/app-{name}/tags/list?last={}&n={PAGE}>; rel=\"next\"\r\n", tag(to - 1)),
        false => String::new(),
    };
    let length = body.len();
    Ok(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{link}\r\n{body}"))
}

/// In the order of their names.
fn tag(place: usize) -> String {
    format!("t{place:07}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_the_last_names_none() {
        let first = page("3", 1_500, "list?n=1000").unwrap();
        assert!(
            first.contains("Link: </v2/app-3/tags/list?last=t0000999&n=1000>") && first.ends_with("\"t0000999\"]}")
        );
        let second = page("3", 1_500, "list?last=t0000999&n=1000").unwrap();
        assert!(!second.contains("Link") && second.contains("[\"t0001000\",") && second.ends_with("\"t0001499\"]}"));
    }

    #[tokio::test]
    async fn each_look_at_a_tag_is_counted_and_what_it_does_not_know_is_told() {
        let registry = Registry::start(7, 2, 3).await.unwrap();
        let shelf = &registry.shelf;
        for _ in 0..2 {
            assert!(shelf.answered("HEAD", "/v2/app-8/manifests/t0000001").is_some());
        }
        let asked = registry.asked().unwrap();
        assert_eq!((asked.looks, asked.tags, asked.most), (2, 1, 2));
        let mut answer = String::new();
        let request = b"HEAD /v2/app-9/manifests/t0000001 HTTP/1.1\r\n\r\n";
        assert_eq!(shelf.answer(request, &mut answer).unwrap(), Some(request.len()));
        assert!(registry.asked().unwrap_err().to_string().contains("app-9"));
    }
}
