//! The compose file: it is one by the specification, what it names is there, and its regferry does what it says.

use boon::{Compiler, Schemas};
use serde_json::Value;
use testkit::client::{self, Place};
use testkit::content::hello_world;
use testkit::{DistributionServer, FakeRegistry};

use crate::files::{items, json, path, read, text, yaml};
use crate::support::Ferry;

const FOLDER: &str = "deploy/compose";
const COMPOSE: &str = "deploy/compose/compose.yaml";
const CONFIG: &str = "deploy/compose/regferry/regferry.toml";

#[test]
fn it_is_a_compose_file_by_the_specification() {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("urn:compose", json("tests/data/compose-spec.json")).unwrap();
    let index = compiler.compile("urn:compose", &mut schemas).unwrap();
    let is_valid = |file: &Value| schemas.validate(file, index).map_err(|error| format!("{error:#}"));
    let mut file = yaml(COMPOSE);

    assert_eq!(is_valid(&file), Ok(()));

    file["services"]["regferry"]["helthcheck"] = file["services"]["regferry"]["healthcheck"].take();
    assert!(is_valid(&file).is_err(), "the schema knows what a service has");
}

#[test]
fn every_image_is_built_here_or_of_one_version() {
    for (name, service) in services() {
        let version = text(&service["image"]).rsplit_once(':').map(|(_, version)| version.to_owned());
        let is_pinned = version.is_some_and(|version| version.trim_start_matches('v').split('.').count() == 3);
        let is_built = service["build"] == "../.." && path("Dockerfile").exists();
        assert!(is_pinned || is_built, "{name}: {}", service["image"]);
    }
}

#[test]
fn what_it_mounts_is_there() {
    let volumes = yaml(COMPOSE)["volumes"].clone();
    for (name, service) in services() {
        for mount in items(&service["volumes"]) {
            let (from, _) = text(mount).split_once(':').expect("a mount has two sides");
            let is_there = volumes.get(from).is_some() || path(&format!("{FOLDER}/{from}")).exists();
            assert!(is_there, "{name} mounts {from}, which is not there");
        }
    }
}

#[test]
fn every_service_that_stays_tells_whether_it_is_well() {
    for (name, service) in services() {
        let ends = service["restart"] == "on-failure";
        assert_ne!(ends, service["healthcheck"]["test"].is_array(), "{name}");
    }
}

#[test]
fn its_parts_find_each_other_by_name() {
    let names: Vec<String> = services().into_iter().map(|(name, _)| name).collect();
    let scraped = yaml("deploy/prometheus/prometheus.yml");
    let scraped = text(&scraped["scrape_configs"][0]["static_configs"][0]["targets"][0]).to_owned();
    let datasource = yaml("deploy/compose/grafana/datasources/prometheus.yaml");
    let asked = text(&datasource["datasources"][0]["url"]).trim_start_matches("http://").to_owned();
    let folder = yaml("deploy/compose/grafana/dashboards/regferry.yaml")["providers"][0]["options"]["path"].clone();

    assert_eq!((scraped.as_str(), asked.as_str()), ("regferry:9464", "prometheus:9090"));
    for address in [scraped, asked] {
        let (host, _) = address.split_once(':').expect("an address has a port");
        assert!(names.iter().any(|name| name == host), "{host} is none of {names:?}");
    }
    let grafana = &yaml(COMPOSE)["services"]["grafana"]["volumes"];
    let dashboards = format!("../grafana:{}:ro", text(&folder));
    assert!(items(grafana).any(|mount| *mount == dashboards), "{grafana}");
    assert!(path("deploy/grafana/regferry.json").exists());
}

#[tokio::test]
async fn its_configuration_is_one_and_mirrors_what_its_seed_brings() {
    let checked = Ferry::new(&["check"]).config(&read(CONFIG)).run().await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    // The same between registries that are here: only the hosts are others.
    let hub = FakeRegistry::start().await;
    hub.seed("library/alpine", "3.20", &hello_world());
    let (upstream, target) = (DistributionServer::start(), DistributionServer::start());
    let here = |text: &str| {
        let text = text.replace("upstream:5000", upstream.host()).replace("target:5000", target.host());
        text.replace("docker.io/", &format!("{}/", hub.host()))
    };
    let seed: Vec<String> =
        items(&yaml(COMPOSE)["services"]["seed"]["command"]).map(|argument| here(text(argument))).collect();

    let seeded = Ferry::new(&seed.iter().map(String::as_str).collect::<Vec<_>>()).run().await;
    assert_eq!(seeded.code, Some(0), "{}", seeded.stderr);
    let synced = Ferry::new(&["sync"]).config(&here(&read(CONFIG))).run().await;
    assert_eq!(synced.code, Some(0), "{}", synced.stderr);

    let there = Place::new(upstream.host(), "library/alpine", "3.20");
    let mirrored = Place::new(target.host(), "mirror/library/alpine", "3.20");
    assert_eq!(client::same_tree(there, mirrored).await, Ok(()));
}

fn services() -> Vec<(String, Value)> {
    let services = yaml(COMPOSE)["services"].clone();
    let services = services.as_object().expect("services have names").clone();
    services.into_iter().collect()
}
