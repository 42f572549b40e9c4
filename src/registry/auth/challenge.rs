//! `WWW-Authenticate`: several challenges in one header or in many, with commas in quoted values.
//!
//! Source: RFC 9110, 11.6.1.

#[cfg(any(test, fuzzing))]
pub(in crate::registry) mod properties;

use std::collections::HashMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// One way in that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Challenge {
    /// `bearer`, `basic`, …, in lower case.
    pub(super) scheme: String,
    /// Its parameters, names in lower case.
    pub(super) parameters: HashMap<String, String>,
}

/// All challenges of an answer, in order.
pub(in crate::registry) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect()
}

/// A part between commas is `scheme`, `scheme name=value` or `name=value` of the challenge before it.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in split_outside_quotes(header) {
        let (scheme, parameter) = scheme_and_parameter(part);
        if let Some(scheme) = scheme {
            challenges.push(Challenge { scheme: scheme.to_ascii_lowercase(), parameters: HashMap::new() });
        }
        if let (Some((name, value)), Some(challenge)) = (parameter, challenges.last_mut()) {
            challenge.parameters.insert(name.trim().to_ascii_lowercase(), unquote(value.trim()));
        }
    }
    challenges
}

fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        c == ',' && !quoted
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn scheme_and_parameter(part: &str) -> (Option<&str>, Option<(&str, &str)>) {
    let name_ends = part.find(['=', ' ']).unwrap_or(part.len());
    match part[name_ends..].trim_start().strip_prefix('=') {
        Some(value) => (None, Some((&part[..name_ends], value))),
        None => (Some(&part[..name_ends]), part[name_ends..].trim_start().split_once('=')),
    }
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hubs_challenge_is_read() {
        let all = parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].scheme, "bearer");
        assert_eq!(all[0].parameters["scope"], "repository:a/b:pull,push");
    }

    #[test]
    fn several_in_one_header_are_told_apart() {
        let all = parse(r#"Negotiate, Basic realm="a, \"b\"", Bearer realm = "https://r/t" , service=s"#);
        let schemes: Vec<_> = all.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(all[1].parameters["realm"], "a, \"b\"");
        assert_eq!(all[2].parameters["realm"], "https://r/t");
        assert_eq!(all[2].parameters["service"], "s");
    }
}
