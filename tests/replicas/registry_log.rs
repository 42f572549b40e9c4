//! What `docker-registry` was asked, by its own log.

use jiff::Timestamp;
use testkit::DistributionServer;

/// A request, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
}

/// All requests that were answered, by when they came.
pub(crate) fn requests(server: &DistributionServer) -> Vec<Asked> {
    let mut requests: Vec<Asked> = server.log().lines().filter_map(request).collect();
    requests.sort_by_key(|request| request.at);
    requests
}

/// A line that tells of an answer has when that was given, and how long it took.
fn request(line: &str) -> Option<Asked> {
    let answered: Timestamp = field(line, "time")?.parse().ok()?;
    let took = duration(field(line, "http.response.duration")?)?;
    let (path, _query) = field(line, "http.request.uri").map(|uri| uri.split_once('?').unwrap_or((uri, "")))?;
    Some(Asked {
        at: answered - jiff::SignedDuration::from_secs_f64(took),
        method: field(line, "http.request.method")?.to_owned(),
        path: path.to_owned(),
        status: field(line, "http.response.status")?.parse().ok()?,
    })
}

fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let start = line.find(&format!("{name}="))? + name.len() + 1;
    let rest = &line[start..];
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split(' ').next(),
    }
}

/// Seconds, as Go writes a duration: `1m2.5s`, `3.95ms`, `81.2µs`.
fn duration(text: &str) -> Option<f64> {
    let (number, factor) = match text {
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 1e-3),
        _ if text.ends_with("µs") => (text.trim_end_matches("µs"), 1e-6),
        _ if text.ends_with("ns") => (text.trim_end_matches("ns"), 1e-9),
        _ => (text.strip_suffix('s')?, 1.0),
    };
    let (minutes, seconds) = number.split_once('m').unwrap_or(("0", number));
    Some((minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?) * factor)
}

#[test]
fn a_line_of_the_log_is_a_request() {
    let line = r#"time="2026-11-28T22:42:44.500000000Z" level=info msg="response completed" http.request.method=GET http.request.uri="/v2/a/blobs/b?x=1" http.response.duration=250ms http.response.status=200"#;
    let asked = request(line).expect("it is one");
    assert_eq!(asked.at, "2026-11-28T22:42:44.25Z".parse::<Timestamp>().expect("it is a date"));
    assert_eq!((&*asked.method, &*asked.path, asked.status), ("GET", "/v2/a/blobs/b", 200));
    assert_eq!([duration("1m2.5s"), duration("81.5µs"), duration("x")], [Some(62.5), Some(81.5e-6), None]);
}
