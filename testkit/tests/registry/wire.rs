//! HTTP by hand: what a test writes is what is sent, and what it reads is what came.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    head: String,
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request without a body.
pub(crate) async fn ask(host: &str, line: &str, headers: &[(&str, &str)]) -> Reply {
    send(host, line, headers, b"").await
}

/// Sends a request, expects an answer and reads until the connection is closed.
pub(crate) async fn send(host: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    try_send(host, line, headers, body).await.expect("an answer")
}

/// The same; `None` if the connection was closed without an answer.
pub(crate) async fn try_send(host: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Reply> {
    let mut request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n", body.len());
    let mut socket = TcpStream::connect(host).await.expect("the registry listens");
    socket.write_all(request.as_bytes()).await.expect("the registry reads");
    socket.write_all(body).await.expect("the registry reads");
    parse(&read_to_close(socket).await)
}

async fn read_to_close(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends the answer just as well; what came before it is in the buffer.
    let _ = socket.read_to_end(&mut bytes).await;
    bytes
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head, body: bytes[end + 4..].to_vec() })
}
