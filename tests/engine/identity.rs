//! Identity tokens, which `docker login` leaves where a registry gives them: exchanged for a token by OAuth2's POST.

use std::io::Write as _;

use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::{copy, engine_with_docker_config};

#[tokio::test]
async fn an_identity_token_is_exchanged_by_a_post_of_a_form() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("app", "v1", &hello_world());
    let tokens = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!("http://{}/token", tokens.local_addr().unwrap());
    let challenge = format!(r#"Bearer realm="{realm}",service="a service""#);
    let refusal = Effect::status_with(401, &[("WWW-Authenticate", &challenge)]);
    source.fault(Fault::on(Method::HEAD, Endpoint::Manifest).times(1), refusal);
    let mut config = tempfile::NamedTempFile::new().unwrap();
    write!(config, r#"{{"auths":{{"{}":{{"auth":"MDow","identitytoken":"1d+t/k="}}}}}}"#, source.host()).unwrap();
    let engine = engine_with_docker_config(config.path());

    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", target.host()));
    let (report, (head, form)) = tokio::join!(copy(&engine, &from, &to), answer_one(&tokens));

    assert_eq!(report.error, None);
    assert_eq!(source.requests()[1].header("authorization"), Some("Bearer t"));
    assert!(head.starts_with("post /token http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(!head.contains("authorization:"), "the token stands in the form alone: {head}");
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(field("grant_type"), Some("refresh_token"));
    assert_eq!(field("refresh_token"), Some("1d+t/k="));
    assert_eq!((field("service"), field("scope")), (Some("a service"), Some("repository:app:pull")));
    assert!(field("client_id").is_some_and(|id| !id.is_empty()));
}

/// Copies from a registry whose entry in the Docker config this is.
async fn copy_with(source: &FakeRegistry, entry: &str) -> Option<String> {
    let target = FakeRegistry::start().await;
    source.seed("app", "v1", &hello_world());
    let mut config = tempfile::NamedTempFile::new().unwrap();
    write!(config, r#"{{"auths":{{"{}":{entry}}}}}"#, source.host()).unwrap();
    let engine = engine_with_docker_config(config.path());
    copy(&engine, &format!("{}/app:v1", source.host()), &format!("{}/app:v1", target.host())).await.error
}

#[tokio::test]
async fn where_the_post_is_unknown_the_identity_token_stands_for_the_password() {
    for (user, entry) in [("", r#"{"identitytoken":"1d"}"#), ("ann", r#"{"auth":"YW5uOg==","identitytoken":"1d"}"#)] {
        for code in [401, 404, 405] {
            let source = FakeRegistry::builder().identity_auth(user, "1d").start().await;
            source.fault(Fault::on(Method::POST, Endpoint::Token), Effect::status(code));

            assert_eq!(copy_with(&source, entry).await, None, "{user:?} {code}");

            let counts = [Method::POST, Method::GET].map(|method| source.count(&method, Endpoint::Token));
            assert_eq!(counts, [1, 1], "{user:?} {code}");
        }
    }
}

#[tokio::test]
async fn an_identity_token_that_is_refused_either_way_is_told_and_not_shown() {
    let source = FakeRegistry::builder().identity_auth("", "right").start().await;

    let error = copy_with(&source, r#"{"identitytoken":"wr0ng"}"#).await.unwrap();

    assert!(error.contains("401") && error.contains("(logging in)") && !error.contains("wr0ng"), "{error}");
}

#[tokio::test]
async fn an_identity_token_is_not_tried_otherwise_where_the_server_has_trouble() {
    let source = FakeRegistry::builder().identity_auth("", "1d").start().await;
    source.fault(Fault::on(Method::POST, Endpoint::Token).times(1), Effect::status(503));

    assert_eq!(copy_with(&source, r#"{"identitytoken":"1d"}"#).await, None);

    assert_eq!(source.count(&Method::GET, Endpoint::Token), 0, "{}", source.summary());
}

/// Gives one token; what was said for it: the head in lower case, and the fields of the form.
async fn answer_one(listener: &TcpListener) -> (String, Vec<(String, String)>) {
    let (mut socket, _) = listener.accept().await.unwrap();
    let (read, mut write) = socket.split();
    let mut read = BufReader::new(read);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(read.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    read.read_exact(&mut body).await.unwrap();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{\"access_token\":\"t\"}";
    write.write_all(answer.as_bytes()).await.unwrap();
    let form = url::form_urlencoded::parse(&body).map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    (head, form)
}
