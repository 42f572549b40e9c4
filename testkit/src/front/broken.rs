//! HTTP/2 as proxies break it off under load.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason};
use http::{Response, request};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::server::TlsStream;

use super::Http2;

const PROMISED: usize = 100;
const SENT: usize = 50;

/// Serves one connection until the client leaves it.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    how: Http2,
    record: impl Fn(&request::Parts),
) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let pings = Arc::new(Mutex::new(connection.ping_pong().expect("nobody took it before")));
    while let Some(accepted) = connection.accept().await {
        let (request, mut answer) = accepted?;
        record(&request.into_parts().0);
        match how {
            Http2::None | Http2::Spoken => unreachable!("it is not broken"),
            Http2::GoAway => connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM),
            Http2::Reset => answer.send_reset(Reason::INTERNAL_ERROR),
            Http2::Refused => answer.send_reset(Reason::REFUSED_STREAM),
            Http2::ResetBody => drop(tokio::spawn(reset_body(answer, Arc::clone(&pings)))),
        }
    }
    Ok(())
}

/// Half a body, and a reset once the client has it: a reset overtakes what is not sent yet.
async fn reset_body(mut answer: SendResponse<Bytes>, pings: Arc<Mutex<PingPong>>) -> Result<(), h2::Error> {
    let head = Response::builder().header("content-length", PROMISED).body(()).expect("the header is one");
    let mut body = answer.send_response(head, false)?;
    body.send_data(Bytes::from_static(&[b' '; SENT]), false)?;
    // The first may overtake the body; when it is answered, the body is sent, and the second is behind it.
    let mut pings = pings.lock().await;
    pings.ping(Ping::opaque()).await?;
    pings.ping(Ping::opaque()).await?;
    body.send_reset(Reason::INTERNAL_ERROR);
    Ok(())
}
