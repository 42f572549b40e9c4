//! Real registries that want tokens, from one token server for both: how many the program asks for, what for, and what
//! it does when they end too early.

use std::time::Duration;

use insta::assert_snapshot;
use testkit::client;
use testkit::content::hello_world;
use testkit::server::{Asked, TokenServer};
use testkit::{DistributionServer, FakeRegistry, Image};

use crate::gate::Gate;
use crate::login::{self, RIGHT, WRONG};
use crate::support::{Ferry, until};

const LONG: Duration = Duration::from_secs(600);

struct Company {
    tokens: TokenServer,
    source: DistributionServer,
    target: DistributionServer,
    /// Where images come from and are looked at: the registries show nothing to those who have no token.
    open: FakeRegistry,
}

impl Company {
    async fn new(lifetime: Duration) -> Self {
        let tokens = TokenServer::start("reader", "s3cret", lifetime).await;
        let guarded = || DistributionServer::builder().with_tokens_of(&tokens).start();
        let (source, target) = (guarded(), guarded());
        Self { tokens, source, target, open: FakeRegistry::start().await }
    }

    fn login(&self) -> String {
        login::docker_config(&[(self.source.host(), RIGHT), (self.target.host(), RIGHT)])
    }

    fn copy(&self, from: &str, to: &str) -> Ferry {
        Ferry::new(&["copy", from, to]).file(login::FILE, &self.login())
    }

    async fn seed(&self, repository: &str, image: &Image) {
        self.open.seed(repository, "v1", image);
        let from = format!("{}/{repository}:v1", self.open.host());
        self.copy(&from, &format!("{}/{repository}:v1", self.source.host())).run().await.success();
        self.tokens.clear();
    }

    /// Looks at an image of the target from outside.
    async fn assert_arrived(&self, repository: &str, image: &Image) {
        let from = format!("{}/{repository}:v1", self.target.host());
        self.copy(&from, &format!("{}/back:v1", self.open.host())).run().await.success();
        assert_eq!(self.open.check_whole("back", "v1"), Ok(()));
        assert_eq!(self.open.manifest("back", "v1").as_ref(), Some(&image.root));
    }

    /// What was asked for on behalf of a registry: the scopes of each request.
    fn scopes(&self, registry: &DistributionServer) -> Vec<String> {
        let asked = self.tokens.asked();
        asked.iter().filter(|asked| asked.service == registry.host()).map(|asked| asked.scopes.join(" ")).collect()
    }
}

#[tokio::test]
async fn a_copy_asks_for_one_token_a_side_and_for_no_more_rights_than_it_needs() {
    let company = Company::new(LONG).await;
    company.seed("app", &hello_world()).await;
    let to = format!("{}/copy:v1", company.target.host());

    company.copy(&format!("{}/app:v1", company.source.host()), &to).run().await.success();

    assert_eq!(company.scopes(&company.source), ["repository:app:pull"]);
    assert_eq!(company.scopes(&company.target), ["repository:copy:pull,push"]);
    company.assert_arrived("copy", &hello_world()).await;
}

#[tokio::test]
async fn a_mount_asks_for_the_right_to_read_the_other_repository() {
    let company = Company::new(LONG).await;
    let (image, other) = (layers(&[1, 2]), layers(&[1, 3]));
    company.seed("app", &image).await;
    company.seed("other", &other).await;
    let (from, to) = (company.source.host(), company.target.host());
    let rules: String = ["app", "other"]
        .map(|name| format!("[[rules]]\nname = '{name}'\nsource = '{from}/{name}:v1'\ntarget = '{to}/{name}:v1'\n"))
        .concat();

    let sync = Ferry::new(&["sync", "--output", "json"]).config(&format!("transfer.max_blobs = 1\n{rules}"));
    let ended = sync.file(login::FILE, &company.login()).run().await;

    ended.success();
    let report = ended.json();
    let mounted = |rule: usize| report["rules"][rule]["images"][0]["blobs"]["mounted"].as_u64();
    // Which of the two is first is open.
    let scopes = company.scopes(&company.target);
    let [first, second] = if mounted(0) == Some(1) { ["other", "app"] } else { ["app", "other"] };
    assert_eq!(mounted(0).max(mounted(1)), Some(1), "{report:#}");
    assert!(
        scopes.contains(&format!("repository:{second}:pull,push repository:{first}:pull")),
        "{second} mounts from {first}: {scopes:#?}"
    );
    company.assert_arrived("app", &image).await;
    company.assert_arrived("other", &other).await;
}

#[tokio::test]
async fn tokens_that_end_in_the_middle_of_a_copy_are_asked_for_again() {
    let company = Company::new(Duration::from_secs(4)).await;
    let image = Image::oci("linux/amd64").layer(1, 4 << 20).layer(2, 4 << 20).build();
    company.seed("app", &image).await;
    let gate = Gate::before(company.source.host(), 2 << 20).await;
    let logins = login::docker_config(&[(gate.host(), RIGHT), (company.target.host(), RIGHT)]);
    let (from, to) = (format!("{}/app:v1", gate.host()), format!("{}/app:v1", company.target.host()));

    let copy = Ferry::new(&["copy", &from, &to]).config("transfer.max_blobs = 1").file(login::FILE, &logins).spawn();
    gate.closed().await;
    let before = company.tokens.asked();
    for Asked { service, token, .. } in &before {
        let token = token.as_deref().expect("the login is right");
        until("the end of the token", async || (!client::admits(service, token).await).then_some(())).await;
    }
    gate.open();
    let ended = copy.ended().await;

    assert_eq!((ended.code, ended.text()), (Some(0), format!("{to} {}\n", image.digest())), "{}", ended.stderr);
    for registry in [&company.source, &company.target] {
        let asked = |asked: &[Asked]| asked.iter().filter(|asked| asked.service == registry.host()).count();
        assert!(asked(&company.tokens.asked()) > asked(&before), "{:#?}", company.tokens.asked());
    }
    company.assert_arrived("app", &image).await;
}

#[tokio::test]
async fn what_the_token_server_refuses_is_told_of_either_side() {
    let company = Company::new(LONG).await;
    company.seed("app", &hello_world()).await;
    let (source, target) = (company.source.host(), company.target.host());
    let fails = async |entries: &[(&str, &str)]| {
        let copy = Ferry::new(&["copy", &format!("{source}/app:v1"), &format!("{target}/app:v1")]);
        let copy = copy.file(login::FILE, &login::docker_config(entries));
        copy.run().await.failure(1).replace(source, "SOURCE").replace(target, "TARGET")
    };

    assert_snapshot!(fails(&[(source, WRONG), (target, RIGHT)]).await, @r#"error: looking up manifest v1 of SOURCE/app (logging in): 401 incorrect username or password; the login for SOURCE was refused: check its user name, and that its password still holds"#);
    assert_snapshot!(fails(&[(source, RIGHT), (target, WRONG)]).await, @r#"error: looking up manifest v1 of TARGET/app (logging in): 401 incorrect username or password; the login for TARGET was refused: check its user name, and that its password still holds"#);
    assert_snapshot!(fails(&[(target, RIGHT)]).await, @r#"error: looking up manifest v1 of SOURCE/app (logging in): 401 incorrect username or password; log in with `docker login SOURCE`, or set username and password_file in [registries."SOURCE"]"#);
    assert_snapshot!(fails(&[(source, RIGHT)]).await, @r#"error: looking up manifest v1 of TARGET/app (logging in): 401 incorrect username or password; log in with `docker login TARGET`, or set username and password_file in [registries."TARGET"]"#);
}

fn layers(seeds: &[u64]) -> Image {
    seeds.iter().fold(Image::oci("linux/amd64"), |image, seed| image.layer(*seed, 100_000)).build()
}
