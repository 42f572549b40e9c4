//! Real `nats-server` processes, and the way to them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::{Cut, NatsCluster, NatsServer};

/// A connection that speaks the protocol by hand: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.
struct Client(TcpStream);

impl Client {
    fn connect(host: &str) -> Self {
        let socket = TcpStream::connect(host).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket has a time limit");
        let mut client = Self(socket);
        client.say("CONNECT {\"verbose\":false}\r\nPING\r\n");
        client.hear("PONG");
        client
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("it listens");
    }

    /// Reads until this was said.
    fn hear(&mut self, text: &str) -> String {
        let (mut heard, mut bytes) = (String::new(), [0; 4096]);
        while !heard.contains(text) {
            let count = self.0.read(&mut bytes).unwrap_or_else(|error| panic!("{error}, after {heard:?}"));
            assert!(count > 0, "it ended, after {heard:?}");
            heard += &String::from_utf8_lossy(&bytes[..count]);
        }
        heard
    }

    /// Asks JetStream, and returns what it says.
    fn ask(&mut self, subject: &str, question: &str) -> String {
        self.say(&format!("SUB answer 1\r\nUNSUB 1 1\r\nPUB {subject} answer {}\r\n{question}\r\n", question.len()));
        self.hear("}\r\n")
    }
}

/// Asks a server that may have to find the others first: until then nobody answers for a stream.
fn ask_until_told(host: &str, subject: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut client = Client::connect(host);
        client.0.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket has a time limit");
        client.say(&format!("SUB answer 1\r\nPUB {subject} answer 0\r\n\r\n"));
        let mut bytes = [0; 4096];
        if let Ok(count) = client.0.read(&mut bytes) {
            let told = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if told.contains("\"type\"") && !told.contains("\"error\"") {
                return told;
            }
        }
        assert!(Instant::now() < deadline, "{host} has not found the others");
    }
}

const STREAM: &str = r#"{"name":"jobs","subjects":["jobs.>"],"storage":"file","num_replicas":REPLICAS}"#;

fn create(client: &mut Client, replicas: usize) -> String {
    client.ask("$JS.API.STREAM.CREATE.jobs", &STREAM.replace("REPLICAS", &replicas.to_string()))
}

#[test]
fn a_killed_server_starts_again_with_its_streams() {
    let mut server = NatsServer::start();
    let mut client = Client::connect(server.host());
    assert!(create(&mut client, 1).contains("\"did_create\":true"));
    assert!(client.ask("jobs.one", "work").contains("\"seq\":1"));

    server.restart();
    let told = Client::connect(server.host()).ask("$JS.API.STREAM.INFO.jobs", "");
    assert!(told.contains("\"messages\":1"), "{told}\n{}", server.log());
}

#[test]
fn a_server_alone_keeps_a_stream_once_and_three_keep_it_three_times() {
    let server = NatsServer::start();
    assert!(create(&mut Client::connect(server.host()), 3).contains("\"error\""));

    let mut cluster = NatsCluster::start();
    let told = create(&mut Client::connect(cluster.server(0).host()), 3);
    assert!(told.contains("\"num_replicas\":3") && told.contains("\"did_create\":true"), "{told}");
    let mut client = Client::connect(cluster.server(1).host());
    assert!(client.ask("jobs.one", "work").contains("\"seq\":1"));

    cluster.server(0).restart();
    let told = ask_until_told(cluster.server(0).host(), "$JS.API.STREAM.INFO.jobs");
    assert!(told.contains("\"messages\":1"), "{told}\n{}", cluster.server(0).log());
}

#[test]
fn a_server_may_want_a_login_and_tls() {
    let server = NatsServer::builder().tls().lines("authorization { token: secret }").start();
    let mut banner = [0; 512];
    let count = TcpStream::connect(server.host()).expect("it listens").read(&mut banner).expect("it says who it is");
    let banner = String::from_utf8_lossy(&banner[..count]);
    for said in ["\"auth_required\":true", "\"tls_required\":true", "\"tls_verify\":true"] {
        assert!(banner.contains(said), "{banner}");
    }
    assert!(server.ca_file().is_some_and(std::path::Path::exists));
    assert!(server.client_certificate().is_some_and(|shown| shown.certificate.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_over_a_cut_way_and_what_was_held_goes_on_when_it_is_mended() {
    let server = NatsServer::start();
    let way = Cut::before(server.host()).await;
    let mut client = Client::connect(way.host());

    way.cut();
    client.say("PING\r\n");
    client.0.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket has a time limit");
    let error = client.0.read(&mut [0; 8]).expect_err("nothing comes");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");

    way.mend();
    client.0.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket has a time limit");
    client.hear("PONG");
}
