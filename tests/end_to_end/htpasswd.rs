//! A real registry that wants a user and a password: with the right ones, with wrong ones, and with none.

use insta::assert_snapshot;
use testkit::content::hello_world;
use testkit::{DistributionServer, FakeRegistry};

use crate::login::{self, RIGHT, WRONG};
use crate::support::Ferry;

/// `reader` with the password `s3cret`.
pub(crate) const LINE: &str = "reader:$2y$05$3JENn/tidd7AHnWdElK5IuQ.JqFw7GG7mCvRdF1uVUoc5kmWvvRwu\n";

/// A registry that wants a login, with an image in it, and one that wants none.
struct Registries {
    guarded: DistributionServer,
    open: FakeRegistry,
}

impl Registries {
    async fn new() -> Self {
        let guarded = DistributionServer::builder().with_htpasswd(LINE).start();
        let open = FakeRegistry::start().await;
        open.seed("app", "v1", &hello_world());
        let registries = Self { guarded, open };
        registries.copy_in("app").file(login::FILE, &registries.login(RIGHT)).run().await.success();
        registries
    }

    fn login(&self, login: &str) -> String {
        login::docker_config(&[(self.guarded.host(), login)])
    }

    fn copy_in(&self, repository: &str) -> Ferry {
        let (from, to) = (format!("{}/app:v1", self.open.host()), format!("{}/{repository}:v1", self.guarded.host()));
        Ferry::new(&["copy", &from, &to])
    }

    fn copy_out(&self, repository: &str) -> Ferry {
        let (from, to) = (format!("{}/app:v1", self.guarded.host()), format!("{}/{repository}:v1", self.open.host()));
        Ferry::new(&["copy", &from, &to])
    }

    /// The error of a copy that fails, without the ports.
    async fn fails(&self, copy: Ferry) -> String {
        let error = copy.run().await.failure(1);
        error.replace(self.open.host(), "OPEN").replace(self.guarded.host(), "GUARDED")
    }
}

#[tokio::test]
async fn with_the_right_login_images_go_in_and_come_out() {
    let registries = Registries::new().await;

    registries.copy_out("back").file(login::FILE, &registries.login(RIGHT)).run().await.success();

    assert_eq!(registries.open.check_whole("back", "v1"), Ok(()));
    assert_eq!(registries.open.manifest("back", "v1"), Some(hello_world().root));
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_the_registrys_name() {
    let registries = Registries::new().await;
    let wrong = |ferry: Ferry| ferry.file(login::FILE, &registries.login(WRONG));

    assert_snapshot!(registries.fails(wrong(registries.copy_out("back"))).await, @r#"error: looking up manifest v1 of GUARDED/app: 401 Unauthorized; the login for GUARDED was refused: check its user name, and that its password still holds"#);
    assert_snapshot!(registries.fails(wrong(registries.copy_in("new"))).await, @r#"error: looking up manifest v1 of GUARDED/new: 401 Unauthorized; the login for GUARDED was refused: check its user name, and that its password still holds"#);
}

#[tokio::test]
async fn who_has_no_login_is_told_how_to_log_in() {
    let registries = Registries::new().await;

    assert_snapshot!(registries.fails(registries.copy_out("back")).await, @r#"error: looking up manifest v1 of GUARDED/app: 401 Unauthorized; log in with `docker login GUARDED`, or set username and password_file in [registries."GUARDED"]"#);
    assert_snapshot!(registries.fails(registries.copy_in("new")).await, @r#"error: looking up manifest v1 of GUARDED/new: 401 Unauthorized; log in with `docker login GUARDED`, or set username and password_file in [registries."GUARDED"]"#);
}
