//! Who may do what: open to all, Basic, or Bearer tokens that the registry issues itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::answer::{Answer, Reply};
use super::locked;
use super::route::{Call, Endpoint, parameters};

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    pub(super) fn new(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned() }
    }

    fn are_in(&self, call: &Call) -> bool {
        let expected = STANDARD.encode(format!("{}:{}", self.user, self.password));
        call.header("authorization").and_then(|value| value.strip_prefix("Basic ")) == Some(expected.as_str())
    }
}

/// How the registry tells friend from stranger.
#[derive(Clone, Debug, Default)]
pub(super) enum Scheme {
    /// It does not.
    #[default]
    Open,
    /// A user and a password with every request.
    Basic(Credentials),
    /// A token with every request; without credentials to check, anybody gets one.
    Token(Option<Credentials>),
    /// A token with every request, for what was left by a login: by GET in the place of the user's
    /// password, by POST as it is.
    Identity(Credentials),
    /// A token with every request, as Azure's registries give it.
    Azure(Azure),
}

/// The two tokens that stand in the place of a password.
#[derive(Clone, Debug)]
pub(super) struct Azure {
    /// The registry's own.
    pub(super) refresh: String,
    /// Another's, which is exchanged for the registry's own.
    pub(super) access: String,
}

/// The fields of a form.
type Form<'a> = &'a [(String, String)];

/// What opens the door, and for how long.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    pub(super) scheme: Scheme,
    pub(super) token_lifetime: Duration,
    /// Whether deleting has an action of its own.
    pub(super) delete_scope: bool,
}

/// The door: checks requests, and issues what opens it.
#[derive(Debug)]
pub(super) struct Door {
    scheme: Mutex<Scheme>,
    lifetime: Duration,
    realm: String,
    delete_scope: bool,
    tokens: Mutex<HashMap<String, Grant>>,
}

#[derive(Debug)]
struct Grant {
    scopes: Vec<Scope>,
    expires: Instant,
}

impl Door {
    pub(super) fn new(lock: Lock, host: &str) -> Self {
        let path = if matches!(lock.scheme, Scheme::Azure(_)) { "oauth2/token" } else { "token" };
        Self {
            scheme: Mutex::new(lock.scheme),
            lifetime: lock.token_lifetime,
            realm: format!("http://{host}/{path}"),
            delete_scope: lock.delete_scope,
            tokens: Mutex::default(),
        }
    }

    /// Lets the request in, or says why not.
    pub(super) fn admit(&self, call: &Call) -> Result<(), Box<Answer>> {
        match &*locked(&self.scheme) {
            _ if matches!(call.endpoint, Endpoint::Token | Endpoint::Exchange) => Ok(()),
            Scheme::Open => Ok(()),
            Scheme::Basic(credentials) if credentials.are_in(call) => Ok(()),
            Scheme::Basic(_) => Err(unauthorized(r#"Basic realm="testkit""#)),
            Scheme::Token(_) | Scheme::Identity(_) | Scheme::Azure(_) => self.check_token(call),
        }
    }

    /// From now on another password is the right one; tokens stay good.
    pub(super) fn change_password(&self, password: &str) {
        match &mut *locked(&self.scheme) {
            Scheme::Basic(credentials) | Scheme::Token(Some(credentials)) | Scheme::Identity(credentials) => {
                password.clone_into(&mut credentials.password);
            }
            Scheme::Open | Scheme::Token(None) | Scheme::Azure(_) => panic!("there is no password to change"),
        }
    }

    /// Answers a request to the token service: everything that is asked for is granted.
    pub(super) fn issue(&self, call: &Call) -> Reply {
        match &*locked(&self.scheme) {
            Scheme::Open | Scheme::Basic(_) | Scheme::Azure(_) => return Ok(Answer::not_routed()),
            Scheme::Token(None) => {}
            Scheme::Token(Some(credentials)) | Scheme::Identity(credentials) if credentials.are_in(call) => {}
            Scheme::Token(Some(_)) | Scheme::Identity(_) => return Err(unauthorized(r#"Basic realm="testkit""#)),
        }
        self.grant(parameters(&call.query, "scope"))
    }

    /// The same by POST, for what a login left.
    pub(super) fn refresh(&self, form: Form<'_>) -> Reply {
        let expected = match &*locked(&self.scheme) {
            Scheme::Identity(credentials) => credentials.password.clone(),
            Scheme::Azure(azure) => azure.refresh.clone(),
            Scheme::Open | Scheme::Basic(_) | Scheme::Token(_) => return Ok(Answer::not_routed()),
        };
        if field(form, "grant_type") != Some("refresh_token") || field(form, "refresh_token") != Some(&expected) {
            return Err(unauthorized(r#"Basic realm="testkit""#));
        }
        self.grant(field(form, "scope").map(str::to_owned).into_iter())
    }

    /// Gives a refresh token for another's access token.
    pub(super) fn exchange(&self, form: Form<'_>) -> Reply {
        let Scheme::Azure(azure) = &*locked(&self.scheme) else { return Ok(Answer::not_routed()) };
        if field(form, "grant_type") != Some("access_token") || field(form, "access_token") != Some(&azure.access) {
            return Err(unauthorized(r#"Basic realm="testkit""#));
        }
        Ok(Answer::json(StatusCode::OK, &json!({"refresh_token": azure.refresh})))
    }

    fn grant(&self, asked: impl Iterator<Item = String>) -> Reply {
        let asked: Vec<_> = asked.collect();
        let scopes: Vec<_> = asked.iter().flat_map(|scopes| scopes.split(' ')).filter_map(Scope::parse).collect();
        if !self.delete_scope && scopes.iter().any(|scope| scope.actions.iter().any(|action| action == "delete")) {
            let message = "Could not decode repository actions";
            return Err(Answer::error(StatusCode::BAD_REQUEST, "UNSUPPORTED", message, json!(null)));
        }
        let mut tokens = locked(&self.tokens);
        let token = format!("token-{}", tokens.len() + 1);
        tokens.insert(token.clone(), Grant { scopes, expires: Instant::now() + self.lifetime });
        let body = json!({"token": token, "access_token": token, "expires_in": self.lifetime.as_secs()});
        Ok(Answer::json(StatusCode::OK, &body))
    }

    /// Makes every token that was issued worthless.
    pub(super) fn revoke(&self) {
        locked(&self.tokens).values_mut().for_each(|grant| grant.expires = Instant::now());
    }

    fn check_token(&self, call: &Call) -> Result<(), Box<Answer>> {
        let needed = self.needed_scopes(call);
        let Some(token) = call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
            return Err(self.challenge(&needed, None));
        };
        let tokens = locked(&self.tokens);
        let Some(grant) = tokens.get(token).filter(|grant| grant.expires > Instant::now()) else {
            return Err(self.challenge(&needed, Some("invalid_token")));
        };
        if !needed.iter().all(|scope| grant.scopes.iter().any(|granted| granted.includes(scope))) {
            return Err(self.challenge(&needed, Some("insufficient_scope")));
        }
        Ok(())
    }

    // As distribution asks for them: writing wants to read too, and a mount wants to read where the
    // blob comes from.
    fn needed_scopes(&self, call: &Call) -> Vec<Scope> {
        if call.endpoint == Endpoint::Catalog {
            return vec![Scope::new("registry:catalog".to_owned(), &["*"])];
        }
        if call.repository().is_empty() {
            return Vec::new();
        }
        let actions: &[&str] = match call.method {
            Method::GET | Method::HEAD => &["pull"],
            Method::DELETE if self.delete_scope => &["delete"],
            _ => &["pull", "push"],
        };
        let mut scopes = vec![Scope::new(format!("repository:{}", call.repository()), actions)];
        if let Some(from) = call.parameter("from") {
            scopes.push(Scope::new(format!("repository:{from}"), &["pull"]));
        }
        scopes
    }

    fn challenge(&self, needed: &[Scope], error: Option<&str>) -> Box<Answer> {
        let mut challenge = format!(r#"Bearer realm="{}",service="testkit""#, self.realm);
        let scopes: Vec<_> = needed.iter().map(Scope::to_string).collect();
        if !scopes.is_empty() {
            challenge += &format!(r#",scope="{}""#, scopes.join(" "));
        }
        if let Some(error) = error {
            challenge += &format!(r#",error="{error}""#);
        }
        unauthorized(&challenge)
    }
}

/// `repository:library/hello-world:pull,push`
#[derive(Debug, PartialEq, Eq)]
struct Scope {
    resource: String,
    actions: Vec<String>,
}

impl Scope {
    fn new(resource: String, actions: &[&str]) -> Self {
        Self { resource, actions: actions.iter().map(|&action| action.to_owned()).collect() }
    }

    fn parse(text: &str) -> Option<Self> {
        let (resource, actions) = text.rsplit_once(':')?;
        let actions: Vec<_> = actions.split(',').collect();
        Some(Self::new(resource.to_owned(), &actions))
    }

    fn includes(&self, other: &Scope) -> bool {
        self.resource == other.resource && other.actions.iter().all(|action| self.actions.contains(action))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.actions.join(","))
    }
}

fn field<'a>(form: Form<'a>, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn unauthorized(challenge: &str) -> Box<Answer> {
    let message = "authentication required";
    let error = Answer::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message, json!(null));
    Box::new(error.with(WWW_AUTHENTICATE, challenge))
}
