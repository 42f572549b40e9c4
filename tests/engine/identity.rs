//! Identity tokens, which `docker login` leaves where a registry gives them: exchanged for a token by OAuth2's POST.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use regferry::registry::{DockerConfigFiles, Registries};
use regferry::transfer::{Engine, Limits};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::copy;

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
    let files = DockerConfigFiles::new(vec![config.path().to_owned()]);
    let registries = Registries::new(HashMap::new(), files, Arc::new(()));
    let engine = Arc::new(Engine::new(registries, Limits::default(), Arc::new(())));

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
