//! Azure Container Registry's logins: tokens in the place of a password.
//!
//! Source: Azure Container Registry's documentation, "Authenticate with an Azure container registry", and "ACR's
//! AAD-OAuth" in its repository of documents.

use base64::Engine as _;
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::realm::Realm;
use crate::registry::credentials::Login;

/// Where an access token is exchanged for a refresh token.
pub(super) const EXCHANGE: &str = "/oauth2/exchange";

/// The user name that says that the password is a token.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// What stands in the place of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// The registry's own refresh token, as `az acr login --expose-token` prints it.
    Refresh,
    /// An access token of Microsoft Entra, which the registry exchanges.
    Access,
}

/// Which token a login is, if it is one and the realm is Azure's.
pub(super) fn token(login: &Login, realm: &Realm) -> Option<Token> {
    let Login::Basic { username, password } = login else { return None };
    if username != TOKEN_USER || !realm.url.path().ends_with("/oauth2/token") {
        return None;
    }
    let claims = claims(password.expose_secret())?;
    Some(if claims.grant_type.as_deref() == Some("refresh_token") { Token::Refresh } else { Token::Access })
}

#[derive(Deserialize)]
struct Claims {
    grant_type: Option<String>,
}

/// What a JSON web token says; nobody but the registry has to believe it. Source: RFC 7519, section 3.
fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.sig", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
    }

    fn kind(username: &str, password: &str, realm: &str) -> Option<Token> {
        let login = Login::Basic { username: username.to_owned(), password: password.into() };
        token(&login, &Realm { url: realm.parse().unwrap(), service: None })
    }

    #[test]
    fn tokens_in_the_place_of_a_password_are_told_apart() {
        let realm = "https://r.azurecr.io/oauth2/token";
        assert_eq!(kind(TOKEN_USER, &jwt(r#"{"grant_type":"refresh_token"}"#), realm), Some(Token::Refresh));
        assert_eq!(kind(TOKEN_USER, &jwt(r#"{"aud":"https://management.azure.com"}"#), realm), Some(Token::Access));
        assert_eq!(kind(TOKEN_USER, "a password", realm), None);
        assert_eq!(kind("me", &jwt("{}"), realm), None);
        assert_eq!(kind(TOKEN_USER, &jwt("{}"), "https://r.example/token"), None);
    }
}
