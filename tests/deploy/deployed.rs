//! What holds for all that Kubernetes is given, by kustomize or by Helm.

use std::path::Path;
use std::time::Duration;

use regex::Regex;
use regferry::config::Config;
use serde_json::{Value, json};

use crate::alerts::job_alert;
use crate::daemon::Daemon;
use crate::helm;
use crate::kubernetes;
use crate::manifests::{Manifests, text};
use crate::support::{Ferry, until};

/// All that can be rendered, by its name.
fn everything() -> impl Iterator<Item = (String, Manifests)> {
    let rendered = kubernetes::rendered().into_iter().chain(helm::rendered());
    let (names, yaml): (Vec<_>, Vec<_>) = rendered.unzip();
    names.into_iter().zip(Manifests::read_all(&yaml))
}

/// The folder that a volume is mounted at.
fn mounted<'a>(manifests: &'a Manifests, volume: &str) -> Option<&'a Value> {
    let mounts = manifests.container("regferry")["volumeMounts"].as_array().expect("something is mounted");
    mounts.iter().find(|mount| mount["name"] == volume)
}

fn volume<'a>(manifests: &'a Manifests, name: &str) -> &'a Value {
    let volumes = manifests.pod()["volumes"].as_array().expect("there are volumes");
    volumes.iter().find(|volume| volume["name"] == name).expect("there is a volume of this name")
}

/// The value of an option that is written with an equals sign.
fn option<'a>(manifests: &'a Manifests, name: &str) -> Option<&'a Path> {
    let values =
        manifests.arguments().into_iter().filter_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
    values.map(Path::new).next()
}

#[test]
fn images_are_of_this_version() {
    for (name, manifests) in everything() {
        let image = text(&manifests.container("regferry")["image"]);
        let is_fixed =
            image.ends_with(&format!("/regferry:{}", env!("CARGO_PKG_VERSION"))) || image.contains("@sha256:");
        assert!(is_fixed, "{name}: {image}");
    }
}

#[tokio::test]
async fn the_program_knows_its_arguments_and_variables() {
    for (name, manifests) in everything() {
        // All that stands before it is read first, and refused if it is wrong.
        let arguments = [manifests.arguments(), vec!["--help"]].concat();
        let help = Ferry::new(&arguments).run().await.success();
        for (variable, _) in manifests.environment("regferry") {
            let is_known = !variable.starts_with("REGFERRY_") || help.contains(&format!("[env: {variable}]"));
            assert!(is_known, "{name}: {variable}");
        }
    }
}

#[tokio::test]
async fn the_program_takes_the_configurations() {
    let mut checked = 0;
    for (_, manifests) in everything() {
        let Some(config) = manifests.config() else { continue };
        let environment = manifests.environment("regferry");
        let check = environment.iter().fold(Ferry::new(&["check"]), |check, (name, value)| check.env(name, value));
        check.config(config).run().await.success();
        checked += 1;
    }
    assert_eq!(checked, 12, "all but those that have somebody else's");
}

#[test]
fn the_configuration_is_where_it_is_looked_for_and_may_change_there() {
    for (name, manifests) in everything() {
        let file = option(&manifests, "--config").expect("it is named");
        let mount = mounted(&manifests, "config").expect("it is mounted");
        assert_eq!(file, Path::new(text(&mount["mountPath"])).join("regferry.toml"), "{name}");
        // What is mounted by subPath never changes.
        let mounts = manifests.containers().map(|container| container["volumeMounts"].to_string());
        assert!(mounts.into_iter().all(|mounts| !mounts.contains("subPath")), "{name}");
        // A name with a hash would be another one after each change.
        let mounted = text(&volume(&manifests, "config")["configMap"]["name"]);
        assert!(["regferry", "mirror-rules"].contains(&mounted), "{name}: {mounted}");
        assert!(manifests.find("ConfigMap").is_none_or(|map| map["metadata"]["name"] == mounted), "{name}: {mounted}");
    }
}

#[test]
fn logins_are_where_they_are_looked_for() {
    for (name, manifests) in everything() {
        let Some(mount) = mounted(&manifests, "docker-config") else { continue };
        let environment = manifests.environment("regferry");
        assert!(environment.contains(&("DOCKER_CONFIG", text(&mount["mountPath"]))), "{name}");
        let items = &volume(&manifests, "docker-config")["secret"]["items"];
        assert_eq!(items, &json!([{"key": ".dockerconfigjson", "path": "config.json"}]), "{name}");
        let passwords = mounted(&manifests, "passwords").expect("this is mounted too");
        assert_eq!(passwords["mountPath"], "/run/secrets/regferry", "{name}");
    }
}

#[test]
fn metrics_of_jobs_go_where_they_can_be_written() {
    let mut kept = Vec::new();
    for (name, manifests) in everything() {
        let Some(file) = option(&manifests, "--metrics-file") else { continue };
        let mount = mounted(&manifests, "metrics").expect("it is mounted");
        assert_eq!(file.parent(), Some(Path::new(text(&mount["mountPath"]))), "{name}");
        assert_ne!(mount["readOnly"], true, "{name}");
        metrics_file(&manifests);
        kept.push(name);
    }
    let names =
        ["metrics-textfile", "metrics-pushgateway", "chart of cronjob-textfile", "chart of cronjob-pushgateway"];
    assert_eq!(kept, names);
}

/// The name of the file that a job's metrics are written to, which the alerts know by what is in it.
pub(crate) fn metrics_file(manifests: &Manifests) -> String {
    let file = option(manifests, "--metrics-file").and_then(Path::file_name).expect("it is named");
    let file = file.to_str().expect("it is plain").to_owned();
    let asked = job_alert("RegferryJobNotRun");
    let (_, known) = asked.split_once("file=~\"").expect("it asks for files");
    let (known, _) = known.split_once('"').expect("the pattern ends");
    let known = Regex::new(&format!("^(?:{known})$")).expect("it is a pattern");
    // As the node exporter tells it.
    assert!(known.is_match(&format!("/textfile/{file}")), "{file}: {known}");
    file
}

/// The "restricted" pod security standard, and a root file system that is read only.
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
#[test]
fn pods_are_confined() {
    for (name, manifests) in everything() {
        let pod = manifests.pod();
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let context = &pod["securityContext"];
        assert_eq!((&context["runAsNonRoot"], &context["runAsUser"]), (&json!(true), &json!(65532)), "{name}");
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert!(["hostNetwork", "hostPID", "hostIPC"].iter().all(|field| pod[field].is_null()), "{name}");
        for container in manifests.containers() {
            let confined = json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}
            });
            assert_eq!(container["securityContext"], confined, "{name}: {}", container["name"]);
            assert!(container["resources"]["limits"]["memory"].is_string(), "{name}: {}", container["name"]);
        }
        // A node's folder is there for the textfile collector only.
        let has_node_folder = pod["volumes"].to_string().contains("hostPath");
        assert_eq!(has_node_folder, name.contains("textfile"), "{name}");
    }
}

#[test]
fn transfers_end_by_themselves_before_the_pod_is_killed() {
    for (name, manifests) in everything() {
        let environment = manifests.environment("regferry");
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let config = manifests
            .config()
            .map_or(Ok(Config::default()), |config| Config::parse(config, Path::new("regferry.toml"), &variable));
        let grace = config.expect("it is valid").service.shutdown_grace;
        let seconds = manifests.pod()["terminationGracePeriodSeconds"].as_u64().expect("it is set");
        // The pushing of metrics begins after it, and takes some seconds too.
        let after = Duration::from_secs(if name.contains("pushgateway") { 30 } else { 10 });
        assert!(Duration::from_secs(seconds) >= grace + after, "{name}: {seconds} s, {grace:?}");
    }
}

#[tokio::test]
async fn a_job_that_was_told_nonsense_is_not_tried_again() {
    let wrong = Ferry::new(&["sync"]).config("rules = 1").run().await;
    for (name, manifests) in everything() {
        let Some(cronjob) = manifests.find("CronJob") else { continue };
        let job = &cronjob["spec"]["jobTemplate"]["spec"];
        let rules = json!([
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": "regferry", "operator": "In", "values": [wrong.code]}
            },
        ]);
        assert_eq!(job["podFailurePolicy"]["rules"], rules, "{name}");
        // Without it there is no such policy.
        assert_eq!(job["template"]["spec"]["restartPolicy"], "Never", "{name}");
        assert_eq!(cronjob["spec"]["concurrencyPolicy"], "Forbid", "{name}");
    }
}

#[tokio::test]
async fn the_daemon_answers_where_it_is_asked() {
    let daemon =
        Daemon::start("[[rules]]\nname = 'none'\nsource = '127.0.0.1:1/none'\ntarget = '127.0.0.1:1/other'").await;
    let mut asked = 0;
    for (name, manifests) in everything().filter(|(_, manifests)| manifests.find("Deployment").is_some()) {
        let container = manifests.container("regferry");
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| &container[probe]["httpGet"]);
        let monitor = manifests.find("ServiceMonitor").map(|monitor| &monitor["spec"]["endpoints"][0]);
        for request in probes.into_iter().chain(monitor) {
            assert_eq!(request["port"], "metrics", "{name}");
            let path = text(&request["path"]);
            until(path, async || (daemon.get(path).await.0 == 200).then_some(())).await;
            asked += 1;
        }
        // The port of that name is the one that it listens at.
        let port = &container["ports"][0];
        let environment = manifests.environment("regferry");
        let address = environment.iter().find(|(name, _)| *name == "REGFERRY_LISTEN").expect("it is set").1;
        assert_eq!((&port["name"], address), (&json!("metrics"), &*format!("0.0.0.0:{}", port["containerPort"])));
        assert_eq!(manifests.of("Service")["spec"]["ports"][0]["targetPort"], "metrics", "{name}");
    }
    assert_eq!(asked, 6 * 3 + 2);
}

#[test]
fn selectors_select_what_is_there() {
    for (name, manifests) in everything() {
        let template = match manifests.find("Deployment") {
            Some(deployment) => &deployment["spec"]["template"],
            None => &manifests.of("CronJob")["spec"]["jobTemplate"]["spec"]["template"],
        };
        let pod = &template["metadata"]["labels"];
        let selects = |selector: &Value, labels: &Value| {
            let wanted = selector.as_object().expect("it selects by labels");
            assert!(wanted.iter().all(|(label, value)| labels[label] == *value), "{name}: {selector} {labels}");
        };
        if let Some(deployment) = manifests.find("Deployment") {
            selects(&deployment["spec"]["selector"]["matchLabels"], pod);
            selects(&manifests.of("Service")["spec"]["selector"], pod);
        }
        if let Some(policy) = manifests.find("NetworkPolicy") {
            selects(&policy["spec"]["podSelector"]["matchLabels"], pod);
        }
        if let Some(monitor) = manifests.find("ServiceMonitor") {
            let service = &manifests.of("Service")["metadata"]["labels"];
            selects(&monitor["spec"]["selector"]["matchLabels"], service);
        }
    }
}
