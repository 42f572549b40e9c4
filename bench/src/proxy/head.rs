//! Where a message's head ends, and how its body does.
//!
//! Source: RFC 9112, section 6.3.

use anyhow::{Context as _, Result, bail};
use httparse::{Header, Request, Response, Status};

use super::Kind;

const MOST_HEADERS: usize = 64;

/// How much follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Sized(u64),
    Chunked,
    /// All until the connection closes.
    Rest,
}

/// The head of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) length: usize,
    pub(super) kind: Kind,
    pub(super) is_head: bool,
    pub(super) body: Body,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) length: usize,
    pub(super) status: u16,
    body: Option<Body>,
}

impl Asked {
    /// `None` while the head is not complete.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = Request::new(&mut headers);
        let Status::Complete(length) = request.parse(bytes).context("a request of another form")? else {
            return Ok(None);
        };
        let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let body = body(request.headers)?.unwrap_or(Body::Sized(0));
        Ok(Some(Self { length, kind: Kind::of(method, target), is_head: method == "HEAD", body }))
    }
}

impl Answered {
    /// `None` while the head is not complete.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = Response::new(&mut headers);
        let Status::Complete(length) = response.parse(bytes).context("an answer of another form")? else {
            return Ok(None);
        };
        let status = response.code.context("an answer has a status")?;
        Ok(Some(Self { length, status, body: body(response.headers)? }))
    }

    /// Whether the real answer is still to come.
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// What follows it, as the answer to a request.
    pub(super) fn body(&self, is_head: bool) -> Body {
        if is_head || self.is_interim() || matches!(self.status, 204 | 304) {
            return Body::Sized(0);
        }
        self.body.unwrap_or(Body::Rest)
    }
}

fn body(headers: &[Header<'_>]) -> Result<Option<Body>> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !header.value.eq_ignore_ascii_case(b"chunked") {
                bail!("a body that is neither whole nor in chunks");
            }
            return Ok(Some(Body::Chunked));
        }
    }
    let length = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    length.map(|header| Ok(Body::Sized(std::str::from_utf8(header.value)?.trim().parse()?))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_length_has_no_body() {
        let head = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nGET";
        let asked = Asked::read(head).unwrap().unwrap();
        assert_eq!((asked.length, asked.body), (head.len() - 3, Body::Sized(0)));
        assert!(Asked::read(&head[..20]).unwrap().is_none());
    }

    #[test]
    fn an_upload_is_whole_or_in_chunks() {
        let whole = Asked::read(b"PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\ncontent-length: 7\r\n\r\n").unwrap().unwrap();
        assert_eq!((whole.kind, whole.body), (Kind::PatchUpload, Body::Sized(7)));
        let chunks = Asked::read(b"PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(chunks.unwrap().unwrap().body, Body::Chunked);
    }

    #[test]
    fn what_answers_a_head_ends_with_its_own_head() {
        let answered = Answered::read(b"HTTP/1.1 200 OK\r\nContent-Length: 528\r\n\r\n").unwrap().unwrap();
        assert_eq!(answered.body(true), Body::Sized(0));
        assert_eq!(answered.body(false), Body::Sized(528));
        let unknown = Answered::read(b"HTTP/1.1 200 OK\r\n\r\n").unwrap().unwrap();
        assert_eq!(unknown.body(false), Body::Rest);
    }
}
