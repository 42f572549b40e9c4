//! What nobody may read in the log and in errors: passwords, tokens, signed URLs, sessions.

use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::login::{FILE, RIGHT, WRONG, docker_config};
use crate::support::{Ferry, Finished, until};

/// What storages sign into their URLs.
const SIGNED: &str = "X-Amz-Credential=AKIAEXAMPLE&X-Amz-Signature=5164a7u3e";

/// What there is to be seen of the secrets of these tests, in part or whole.
const SECRETS: [&str; 12] = [
    "s3cret",
    "wrong",
    RIGHT,
    WRONG,
    "Bearer",
    "Basic",
    "token-1",
    "token-2",
    "X-Amz-",
    "5164a7u3e",
    "_state",
    "userinfo",
];

fn assert_silent(ended: &Finished) {
    for text in [&ended.stderr, &ended.text()] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in: {text}");
        }
    }
}

/// Two registries with tokens, the source's blobs in a storage of signed URLs.
struct Signed {
    source: FakeRegistry,
    target: FakeRegistry,
    storage: FakeRegistry,
}

impl Signed {
    async fn new() -> Self {
        let image = Image::oci("linux/amd64").layer(1, 10_000).build();
        let source = FakeRegistry::builder().token_auth("reader", "s3cret").start().await;
        let target = FakeRegistry::builder().token_auth("reader", "s3cret").location_query(SIGNED).start().await;
        let storage = FakeRegistry::start().await;
        source.seed("app", "v1", &image);
        storage.seed_untagged("app", &image);
        for blob in image.blobs() {
            let digest = blob.digest();
            let url = format!("http://userinfo:userinfo@{}/v2/app/blobs/{digest}?{SIGNED}", storage.host());
            source.fault(Fault::any().reference(&digest), Effect::status_with(307, &[("Location", &url)]));
        }
        Self { source, target, storage }
    }

    async fn copy(&self, login: &str) -> Finished {
        let (from, to) = (format!("{}/app:v1", self.source.host()), format!("{}/app:v1", self.target.host()));
        let logins = docker_config(&[(self.source.host(), login), (self.target.host(), login)]);
        let ended = Ferry::new(&["-vv", "copy", &from, &to]).file(FILE, &logins).run().await;
        assert!(ended.stderr.contains("GET"), "the log tells of requests: {}", ended.stderr);
        ended
    }
}

#[tokio::test]
async fn what_goes_well_is_told_without_secrets() {
    let signed = Signed::new().await;

    let ended = signed.copy(RIGHT).await;

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(signed.storage.count(&Method::GET, Endpoint::Blob), 2);
    assert_silent(&ended);
}

#[tokio::test]
async fn what_breaks_at_the_storage_is_told_without_secrets() {
    for effect in [Effect::Drop, Effect::CutBody { after_bytes: 10 }, Effect::status(503)] {
        let signed = Signed::new().await;
        signed.storage.fault(Fault::on(Method::GET, Endpoint::Blob).times(1), effect.clone());

        let ended = signed.copy(RIGHT).await;

        assert_eq!(ended.code, Some(0), "{effect:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("trying again"), "{effect:?}: {}", ended.stderr);
        assert_silent(&ended);
    }
}

#[tokio::test]
async fn what_the_storage_refuses_is_told_without_secrets() {
    let signed = Signed::new().await;
    signed.storage.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::status(403));

    let ended = signed.copy(RIGHT).await;

    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_silent(&ended);
}

#[tokio::test]
async fn a_storage_that_is_not_there_is_told_without_secrets() {
    let signed = Signed::new().await;
    let Signed { source, target, storage } = signed;
    drop(storage);
    let logins = docker_config(&[(source.host(), RIGHT), (target.host(), RIGHT)]);
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", target.host()));
    let running = Ferry::new(&["-vv", "copy", &from, &to]).file(FILE, &logins).spawn();
    until("a retry", async || running.stderr().contains("trying again").then_some(())).await;
    running.signal("INT");

    assert_silent(&running.ended().await);
}

#[tokio::test]
async fn what_breaks_of_an_upload_is_told_without_secrets() {
    for effect in [Effect::Drop, Effect::LoseAnswer, Effect::status(500), Effect::status(404)] {
        let signed = Signed::new().await;
        signed.target.fault(Fault::on(Method::PUT, Endpoint::Upload).times(1), effect.clone());

        let ended = signed.copy(RIGHT).await;

        assert_eq!(ended.code, Some(0), "{effect:?}: {}", ended.stderr);
        assert_silent(&ended);
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_without_secrets() {
    let ended = Signed::new().await.copy(WRONG).await;

    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_silent(&ended);
}

#[tokio::test]
async fn a_login_in_a_reference_is_refused_without_secrets() {
    for reference in ["reader:s3cret@r.example/app:v1", "https://reader:s3cret@r.example/app:v1"] {
        let ended = Ferry::new(&["-vv", "inspect", reference]).run().await;

        assert!(ended.code.is_some_and(|code| code != 0), "{reference}");
        assert_silent(&ended);
    }
}

#[tokio::test]
async fn what_a_credential_helper_says_when_it_fails_is_told_without_secrets() {
    for script in [
        r#"echo '{"Username": "reader", "Secret": "s3cret"}'; exit 1"#,
        r#"echo '{"Username": "reader", "Secret": "s3cret"'"#,
        r#"printf '{\n"Username": "reader",\n"Secret": "s3cret"\n}'; exit 1"#,
        r#"echo 'not JSON but s3cret'"#,
        r#"echo '{"Username": "reader"}'"#,
        r#"echo '{"Username": "s3cret", "Secret": ""}'"#,
    ] {
        let registry = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
        registry.seed("app", "v1", &hello_world());
        let config = format!(r#"{{"credHelpers": {{"{}": "test"}}}}"#, registry.host());
        let inspect = Ferry::new(&["-vv", "inspect", &format!("{}/app:v1", registry.host())]).file(FILE, &config);

        let ended = inspect.program("docker-credential-test", script).run().await;

        assert_eq!(ended.code, Some(1), "{script}: {}", ended.stderr);
        assert!(ended.stderr.contains("docker-credential-test"), "{script}: {}", ended.stderr);
        assert_silent(&ended);
    }
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_told_without_secrets() {
    for config in [
        "[registries.'r.example']\nusername = 'reader'\npassword = 's3cret'\nnonsense = 1\n",
        "[registries.'r.example']\npassword = 's3cret'\n",
        "[registries.'r.example']\nusername = 'reader'\npassword = ['s3cret']\n",
        "[registries.'r.example']\nusername = 'reader'\npassword = 's3cret\n",
    ] {
        let ended = Ferry::new(&["-vv", "check"]).config(config).run().await;

        assert!(ended.code.is_some_and(|code| code != 0), "{config}: {}", ended.text());
        assert_silent(&ended);
    }
}

#[tokio::test]
async fn a_login_in_a_registrys_name_is_told_without_secrets() {
    for name in ["https://reader:s3cret@r.example", "reader:s3cret@r.example"] {
        let ended = Ferry::new(&["check"]).config(&format!("[registries.'{name}']\ntls = 'http'\n")).run().await;

        assert!(ended.code.is_some_and(|code| code != 0), "{name}: {}", ended.text());
        assert_silent(&ended);
    }
}

#[tokio::test]
async fn a_password_where_its_files_path_belongs_is_told_without_secrets() {
    let registry = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
    let host = registry.host();
    let config = format!(
        "[registries.'{host}']\nusername = 'reader'\npassword_file = '${{HUB_PASSWORD}}'\n\
         [[rules]]\nname = 'app'\nsource = '{host}/app'\ntarget = '{host}/b'\n"
    );
    for arguments in [&["check"][..], &["check", "--online"], &["sync"], &["serve", "--listen", "127.0.0.1:0"]] {
        let ended = Ferry::new(arguments).config(&config).env("HUB_PASSWORD", "s3cret").run().await;

        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        let told = ended.text() + &ended.stderr;
        assert!(told.contains("write password_env = \"HUB_PASSWORD\" in place of this"), "{arguments:?}: {told}");
        assert_silent(&ended);
    }
}
