//! Who the program is to a registry, and from where it knows: each place is tried with a Basic and with a Bearer
//! registry, for reading from the one and writing to the other.

use testkit::FakeRegistry;
use testkit::content::hello_world;

use crate::support::Ferry;

/// `reader:s3cret`, as Docker writes it down.
const AUTH: &str = "cmVhZGVyOnMzY3JldA==";

/// Two registries that want a login: one by Basic, the other by Bearer.
struct Guarded {
    basic: FakeRegistry,
    bearer: FakeRegistry,
}

impl Guarded {
    async fn new() -> Self {
        let basic = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
        let bearer = FakeRegistry::builder().token_auth("reader", "s3cret").start().await;
        basic.seed("app", "v1", &hello_world());
        bearer.seed("app", "v1", &hello_world());
        Self { basic, bearer }
    }

    /// A Docker config with an entry for each of the two.
    fn docker_config(&self, section: &str, entry: &str) -> String {
        let [basic, bearer] = [self.basic.host(), self.bearer.host()];
        format!(r#"{{"{section}": {{"{basic}": {entry}, "{bearer}": {entry}}}}}"#)
    }

    /// A configuration with a login for each of the two.
    fn configuration(&self, password: &str) -> String {
        let login =
            |registry: &FakeRegistry| format!("[registries.'{}']\nusername = 'reader'\n{password}\n", registry.host());
        login(&self.basic) + &login(&self.bearer)
    }

    /// Copies from each to the other.
    async fn opens_to(&self, prepare: impl Fn(Ferry) -> Ferry) {
        for (source, target) in [(&self.basic, &self.bearer), (&self.bearer, &self.basic)] {
            let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/copy:v1", target.host()));
            prepare(Ferry::new(&["copy", &from, &to])).run().await.success();
            assert_eq!(target.check_whole("copy", "v1"), Ok(()));
        }
    }
}

#[tokio::test]
async fn what_docker_login_left_is_used() {
    let guarded = Guarded::new().await;
    let config = guarded.docker_config("auths", &format!(r#"{{"auth": "{AUTH}"}}"#));

    guarded.opens_to(|ferry| ferry.file(".docker/config.json", &config)).await;
}

#[tokio::test]
async fn docker_config_names_the_folder_of_another_config() {
    let guarded = Guarded::new().await;
    let config = guarded.docker_config("auths", &format!(r#"{{"auth": "{AUTH}"}}"#));

    guarded.opens_to(|ferry| ferry.file("docker/config.json", &config).env("DOCKER_CONFIG", "docker")).await;
}

#[tokio::test]
async fn a_credential_helper_is_asked_for_the_registry() {
    let guarded = Guarded::new().await;
    let config = guarded.docker_config("credHelpers", r#""test""#);
    let script = format!(
        r#"case "$1 $(cat)" in "get {}" | "get {}") echo '{{"Username": "reader", "Secret": "s3cret"}}' ;; *) exit 1 ;; esac"#,
        guarded.basic.host(),
        guarded.bearer.host(),
    );

    let prepare = |ferry: Ferry| ferry.file(".docker/config.json", &config).program("docker-credential-test", &script);
    guarded.opens_to(prepare).await;
}

#[tokio::test]
async fn registry_auth_file_rules_alone() {
    let guarded = Guarded::new().await;
    let right = guarded.docker_config("auths", &format!(r#"{{"auth": "{AUTH}"}}"#));
    let broken = "not even JSON";

    let prepare = |ferry: Ferry| {
        let ferry = ferry.file(".docker/config.json", broken).file(".config/containers/auth.json", broken);
        ferry.file("auth.json", &right).env("REGISTRY_AUTH_FILE", "auth.json")
    };
    guarded.opens_to(prepare).await;
}

#[tokio::test]
async fn what_podman_login_left_comes_before_what_docker_login_left() {
    let guarded = Guarded::new().await;
    let right = guarded.docker_config("auths", &format!(r#"{{"auth": "{AUTH}"}}"#));
    let wrong = guarded.docker_config("auths", r#"{"auth": "cmVhZGVyOndyb25n"}"#);

    let prepare = |ferry: Ferry| {
        let ferry = ferry.file(".docker/config.json", &wrong).file("run/containers/auth.json", &right);
        ferry.env("XDG_RUNTIME_DIR", "run")
    };
    guarded.opens_to(prepare).await;
}

#[tokio::test]
async fn what_podman_login_left_in_the_folder_of_configurations_is_used() {
    let guarded = Guarded::new().await;
    let config = guarded.docker_config("auths", &format!(r#"{{"auth": "{AUTH}"}}"#));

    guarded.opens_to(|ferry| ferry.file(".config/containers/auth.json", &config)).await;
    let elsewhere = |ferry: Ferry| {
        ferry.file("configurations/containers/auth.json", &config).env("XDG_CONFIG_HOME", "configurations")
    };
    guarded.opens_to(elsewhere).await;
}

#[tokio::test]
async fn the_store_of_credentials_is_asked_before_the_file_itself() {
    let guarded = Guarded::new().await;
    let wrong = guarded.docker_config("auths", r#"{"auth": "cmVhZGVyOndyb25n"}"#);
    let config = wrong.replacen('{', r#"{"credsStore": "test", "#, 1);
    let script = r#"echo '{"Username": "reader", "Secret": "s3cret"}'"#;

    let prepare = |ferry: Ferry| ferry.file(".docker/config.json", &config).program("docker-credential-test", script);
    guarded.opens_to(prepare).await;
}

#[tokio::test]
async fn the_longest_path_of_a_login_that_covers_the_repository_counts() {
    let guarded = Guarded::new().await;
    let entry = |password: &str| format!(r#"{{"auth": "{password}"}}"#);
    let logins = [&guarded.basic, &guarded.bearer].map(|registry| {
        let (host, right, wrong) = (registry.host(), entry(AUTH), entry("cmVhZGVyOndyb25n"));
        format!(r#""{host}": {wrong}, "{host}/app": {right}, "{host}/copy": {right}, "{host}/app/deeper": {wrong}"#)
    });
    let config = format!(r#"{{"auths": {{{}}}}}"#, logins.join(", "));

    guarded.opens_to(|ferry| ferry.file(".docker/config.json", &config)).await;
}

#[tokio::test]
async fn the_configurations_password_file_comes_before_all_others() {
    let guarded = Guarded::new().await;
    let config = guarded.configuration("password_file = 'secrets/password'");
    let wrong = guarded.docker_config("auths", r#"{"auth": "cmVhZGVyOndyb25n"}"#);

    let prepare = |ferry: Ferry| {
        let ferry = ferry.config(&config).file("secrets/password", "s3cret\n");
        ferry.file(".docker/config.json", &wrong)
    };
    guarded.opens_to(prepare).await;
}

#[tokio::test]
async fn a_password_may_stand_in_the_environment() {
    let guarded = Guarded::new().await;
    let config = guarded.configuration("password_env = 'REGISTRY_PASSWORD'");

    guarded.opens_to(|ferry| ferry.config(&config).env("REGISTRY_PASSWORD", "s3cret")).await;
}
