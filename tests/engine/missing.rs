//! What is missing, in the words of many registries; and what only looks so.

use regferry::events::ImageOutcome;

use regferry::transfer::Import;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, Fault, Image, Method};
use tokio_util::sync::CancellationToken;

use crate::ferry::{Ferry, layer};
use crate::support::{engine, failures, location, reference, rule_for_image, run};

fn answer(code: u16, body: &str) -> Effect {
    Effect::Status { code, headers: Vec::new(), body: body.to_owned() }
}

#[tokio::test]
async fn a_document_that_is_not_there_is_told_of_in_one_way() {
    let bodies = [
        "",
        "404 page not found\n",
        "<html><body>Not Found</body></html>",
        r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#,
        r#"{"errors":[{"code":"UNKNOWN","message":"resource not found"}]}"#,
        r#"{"errors":[]}"#,
    ];
    for body in bodies {
        let (ferry, image) = Ferry::new().await;
        ferry.source.fault(Fault::on(Method::GET, Endpoint::Manifest), answer(404, body));

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains(&format!("manifest {} of", image.digest())), "{error}");
        assert!(error.contains("not found; check the name"), "{body}: {error}");
        assert_eq!(ferry.source.count(&Method::GET, Endpoint::Manifest), 1);
        assert!(ferry.target.repositories().is_empty());
    }
}

#[tokio::test]
async fn a_child_that_is_forbidden_to_be_looked_at_is_brought() {
    let image = hello_world();
    let ferry = Ferry::of(&image).await;
    for child in &image.children {
        let fault = Fault::on(Method::HEAD, Endpoint::Manifest).reference(&child.digest());
        ferry.target.fault(fault, Effect::status(403));
    }

    ferry.copy().await.unwrap();

    assert!(ferry.target.count(&Method::HEAD, Endpoint::Manifest) > 1, "they were looked for");
    assert_eq!(ferry.target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_digest_that_is_forbidden_to_be_looked_at_is_imported() {
    let (ferry, image) = Ferry::new().await;
    let fault = Fault::on(Method::HEAD, Endpoint::Manifest).reference(&image.digest());
    ferry.target.fault(fault, Effect::status(403));
    let mut untagged = reference(&format!("{}/app:x", ferry.target.host()));
    untagged.tag = None;
    let source = reference(&format!("{}/app:v1", ferry.source.host()));

    let imported = engine().import(&Import::new(source, vec![untagged]), &CancellationToken::new()).await.unwrap();

    assert_eq!((imported.images[0].error.as_deref(), imported.images[0].outcome), (None, ImageOutcome::Copied));
    assert_eq!(ferry.target.check_whole("app", &image.digest()), Ok(()));
}

#[tokio::test]
async fn a_rules_digest_that_is_forbidden_to_be_looked_at_is_brought() {
    let (ferry, image) = Ferry::new().await;
    let fault = Fault::on(Method::HEAD, Endpoint::Manifest).reference(&image.digest());
    ferry.target.fault(fault, Effect::status(403));
    let pinned = format!("{}/app@{}", ferry.source.host(), image.digest());
    let rule = rule_for_image("pinned", &pinned, location(ferry.target.host(), "app"), None);

    let report = run(&engine(), &rule).await;

    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(ferry.target.check_whole("app", &image.digest()), Ok(()));
}

#[tokio::test]
async fn an_import_does_not_take_a_forbidden_tag_for_a_free_one() {
    let (ferry, _) = Ferry::new().await;
    ferry.target.seed("app", "v1", &Image::oci("linux/arm64").build());
    ferry.target.clear_requests();
    ferry.target.fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::status(403));
    let [source, target] = [&ferry.source, &ferry.target].map(|r| reference(&format!("{}/app:v1", r.host())));

    let import = Import::new(source, vec![target]);
    let error = engine().import(&import, &CancellationToken::new()).await.unwrap_err();

    assert!(error.to_string().contains("403"), "{error}");
    assert_eq!(ferry.target.summary(), "HEAD manifest 1");
}

#[tokio::test]
async fn an_error_of_a_look_at_the_target_is_not_taken_for_absence() {
    for (status, headers) in [
        (400, vec![]),
        (405, vec![]),
        (409, vec![]),
        (410, vec![]),
        // Longer than anyone waits: it is given up at once.
        (500, vec![("Retry-After", "1000")]),
        (503, vec![("Retry-After", "1000")]),
    ] {
        for of_the_tag in [true, false] {
            let (ferry, image) = Ferry::new().await;
            let fault = if of_the_tag {
                Fault::on(Method::HEAD, Endpoint::Manifest).reference("v1")
            } else {
                Fault::on(Method::HEAD, Endpoint::Blob).reference(&layer(&image))
            };
            ferry.target.fault(fault, Effect::status_with(status, &headers));

            let error = ferry.copy().await.unwrap_err();

            assert!(error.contains("looking") && error.contains(&status.to_string()), "{error}");
            assert!(ferry.target.repositories().is_empty(), "{status}");
        }
    }
}

#[tokio::test]
async fn an_error_of_a_look_at_the_source_is_not_taken_for_absence() {
    for status in [400, 403, 405, 410] {
        let (ferry, _) = Ferry::new().await;
        ferry.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::status(status));

        let error = ferry.copy().await.unwrap_err();

        assert!(error.contains(&status.to_string()) && !error.contains("not found"), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_nobody_created_is_named_and_not_tried_again() {
    let (ferry, _) = Ferry::new().await;
    let unknown = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'app' does not exist in the registry with id '1'"}]}"#;
    ferry.target.fault(Fault::any(), answer(404, unknown));

    let error = ferry.copy().await.unwrap_err();

    assert!(error.contains(&format!("to {}/app", ferry.target.host())), "{error}");
    assert!(error.contains("not found") || error.contains("does not exist"), "{error}");
    assert_eq!(ferry.retries.reasons(), Vec::<String>::new());
}
