//! Whether a registry is there, and knows us. Source: distribution spec, "Determining Support".

use std::sync::Arc;

use http::Method;
use tokio_util::sync::CancellationToken;

use super::auth::Scope;
use super::call::{Call, Caller};
use super::transport::Transport;
use crate::content::{Error, LoginSent};

/// Who we were to a registry that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Nobody: it asked for no login, or there is none for it.
    Anonymously,
    /// A user whose login it took.
    LoggedIn {
        /// The user name; empty for an identity token that comes without one.
        user: String,
    },
}

pub(super) async fn reach(transport: &Transport) -> Result<Reached, Error> {
    let caller = Caller::new(Scope::registry(), Arc::default(), CancellationToken::new());
    let call = Call::new(Method::GET, transport.base().clone(), format!("reaching {}", transport.host()));
    match transport.send(&caller, &call).await {
        Ok(_) => {
            let user = transport.user(&caller).await;
            Ok(user.map_or(Reached::Anonymously, |user| Reached::LoggedIn { user }))
        }
        Err(error) if wants_a_login(&error) => Ok(Reached::Anonymously),
        Err(error) => Err(error),
    }
}

/// Token servers that give nobody a token for nothing refuse it in their own ways.
fn wants_a_login(error: &Error) -> bool {
    let said = error.refusal().filter(|refusal| refusal.login == LoginSent::Nothing);
    said.is_some_and(|refusal| refusal.status == 401 || error.is_of_login() && matches!(refusal.status, 400 | 403))
}
