use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::queue::link::Link;
use crate::queue::settings::Settings;

const SPAN: Duration = Duration::from_secs(30);
const KEY: &str = "rule.app";

#[tokio::test]
async fn a_server_that_forgets_what_it_grants_is_given_a_new_beginning() {
    let server = Server::start(true).await;
    let bucket = server.bucket().await;
    let lease = take(&bucket).await;
    assert!(lease.check().await.is_err());
    assert_eq!(server.purges(), 1);

    let lease = take(&bucket).await;
    assert!(lease.check().await.is_ok());
    assert_eq!(server.purges(), 1);
}

#[tokio::test]
async fn a_lease_that_was_lost_once_costs_no_other() {
    let server = Server::start(false).await;
    let bucket = server.bucket().await;
    let lease = take(&bucket).await;
    server.kept.lock().unwrap().stand.clear();
    assert!(lease.check().await.is_err());
    assert_eq!(server.purges(), 0);
    assert!(take(&bucket).await.check().await.is_ok(), "nobody has it");
}

async fn take(bucket: &Bucket) -> Lease {
    Lease::take(bucket, KEY, "replica", SPAN).await.unwrap().expect("nobody has it")
}

/// What a NATS server is to leases: it may be one that finds nothing again until it is purged.
struct Server {
    address: std::net::SocketAddr,
    kept: Mutex<Kept>,
    purges: AtomicUsize,
}

struct Kept {
    forgets: bool,
    last: u64,
    stand: HashMap<String, (u64, Vec<u8>, Vec<u8>)>,
}

impl Server {
    async fn start(forgets: bool) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Mutex::new(Kept { forgets, last: 0, stand: HashMap::new() });
        let server = Arc::new(Self { address: listener.local_addr().unwrap(), kept, purges: AtomicUsize::new(0) });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(connection));
            }
        });
        server
    }

    async fn bucket(&self) -> Bucket {
        let settings = Settings::of(format!("nats://{}", self.address).parse().unwrap(), "test", SPAN);
        Bucket::new(&Arc::new(Link::connect(&settings).await.unwrap()), "leases")
    }

    fn purges(&self) -> usize {
        self.purges.load(Ordering::Relaxed)
    }

    /// The client protocol, as far as a client with one subscription needs it.
    /// <https://docs.nats.io/reference/reference-protocols/nats-protocol>
    async fn serve(self: Arc<Self>, connection: TcpStream) {
        let mut connection = BufReader::new(connection);
        let info = json!({ "server_id": "a", "version": "2.9.10", "max_payload": 1 << 20, "headers": true });
        connection.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
        let (mut line, mut subscription) = (String::new(), String::new());
        while connection.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["PING"] => connection.write_all(b"PONG\r\n").await.unwrap(),
                ["SUB", _, id] => id.clone_into(&mut subscription),
                ["PUB" | "HPUB", subject, reply, .., size] => {
                    let headers = if words.len() == 5 { words[3].parse().unwrap() } else { 0 };
                    let mut message = vec![0; size.parse::<usize>().unwrap() + 2];
                    connection.read_exact(&mut message).await.unwrap();
                    message.truncate(message.len() - 2);
                    let body = message.split_off(headers);
                    let answer = self.answer(subject, &message, &body).to_string();
                    let told = format!("MSG {reply} {subscription} {}\r\n{answer}\r\n", answer.len());
                    connection.write_all(told.as_bytes()).await.unwrap();
                }
                _ => {}
            }
            line.clear();
        }
    }

    fn answer(&self, subject: &str, headers: &[u8], body: &[u8]) -> serde_json::Value {
        let mut kept = self.kept.lock().unwrap();
        if subject.starts_with("$JS.API.STREAM.PURGE.") {
            self.purges.fetch_add(1, Ordering::Relaxed);
            (kept.forgets, kept.stand) = (false, HashMap::new());
            return json!({ "success": true, "purged": 0 });
        }
        if subject.starts_with("$JS.API.STREAM.MSG.GET.") {
            let question: serde_json::Value = serde_json::from_slice(body).unwrap();
            return match kept.stand.get(question["last_by_subj"].as_str().unwrap()) {
                Some((seq, headers, body)) => {
                    let [hdrs, data] = [headers, body].map(|bytes| BASE64_STANDARD.encode(bytes));
                    json!({ "message": { "subject": "", "seq": seq, "hdrs": hdrs, "data": data, "time": "2026-01-01T00:00:00Z" } })
                }
                None => json!({ "error": { "code": 404, "err_code": 10037, "description": "no message found" } }),
            };
        }
        let expected = String::from_utf8_lossy(headers).lines().find_map(|line| {
            line.strip_prefix("Nats-Expected-Last-Subject-Sequence: ").map(|sequence| sequence.parse::<u64>().unwrap())
        });
        let there = kept.stand.get(subject).map_or(0, |(sequence, ..)| *sequence);
        if expected.is_some_and(|expected| expected != there) {
            let description = format!("wrong last sequence: {there}");
            return json!({ "error": { "code": 400, "err_code": 10071, "description": description }, "seq": 0 });
        }
        kept.last += 1;
        let last = kept.last;
        if !kept.forgets {
            kept.stand.insert(subject.to_owned(), (last, headers.to_vec(), body.to_vec()));
        }
        json!({ "stream": "KV_regferry-test-leases", "seq": last })
    }
}
