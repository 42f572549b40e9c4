//! `deploy/kubernetes`, as kubectl renders it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::files::yaml;
use crate::manifests::Manifests;
use crate::support::Ferry;
use crate::tools::{self, Kubectl, REPOSITORY};

/// The oldest version that has sidecars, and today's.
pub(crate) const VERSIONS: [&str; 2] = ["1.29", "1.37"];

/// What can be applied as it is.
const FOLDERS: [&str; 5] = ["deployment", "cluster", "drain", "cronjob", "example"];

/// What the CronJob may have beside it.
const METRICS: [&str; 2] = ["metrics-textfile", "metrics-pushgateway"];

/// All that can be made of the folder, by what it is.
pub(crate) fn rendered() -> Vec<(String, String)> {
    let folders = FOLDERS.map(|folder| (folder.to_owned(), render(Kubectl::Pinned, folder)));
    let jobs = METRICS.map(|component| (component.to_owned(), render_job_with(component)));
    let kept = ["cronjob", "deployment"].map(|base| (format!("{base} with state"), render_with(base, "state")));
    folders.into_iter().chain(jobs).chain(kept).collect()
}

pub(crate) fn render(kubectl: Kubectl, folder: &str) -> String {
    tools::kustomize(kubectl, &Path::new(REPOSITORY).join("deploy/kubernetes").join(folder))
}

/// The CronJob with one of the components, in a folder of somebody's own.
pub(crate) fn render_job_with(component: &str) -> String {
    render_with("cronjob", component)
}

pub(crate) fn render_with(base: &str, component: &str) -> String {
    let folder = TempDir::new().expect("the temporary directory is writable");
    let copied =
        Command::new("cp").args(["-r", &format!("{REPOSITORY}/deploy/kubernetes")]).arg(folder.path()).status();
    assert!(copied.expect("there is cp").success());
    let own = folder.path().join("own");
    let text = format!("resources: [../kubernetes/{base}]\ncomponents: [../kubernetes/components/{component}]\n");
    fs::create_dir(&own)
        .and_then(|()| fs::write(own.join("kustomization.yaml"), text))
        .expect("the folder is writable");
    tools::kustomize(Kubectl::Pinned, &own)
}

#[test]
fn every_document_is_one_that_kubernetes_takes() {
    let (names, rendered): (Vec<_>, Vec<_>) = rendered().into_iter().unzip();
    for (name, held) in names.iter().zip(Manifests::held_against(&VERSIONS, &rendered)) {
        assert!(held.is_ok(), "{name}: {held:?}");
    }
}

#[test]
fn each_folder_makes_what_it_is_named_for() {
    let rendered = FOLDERS.map(|folder| render(Kubectl::Pinned, folder));
    let kinds: Vec<_> = Manifests::read_all(&rendered).iter().map(|made| made.kinds().join(" ")).collect();
    let deployment = "ConfigMap Deployment NetworkPolicy Service";
    let cluster = "ConfigMap ConfigMap Deployment HorizontalPodAutoscaler NetworkPolicy NetworkPolicy NetworkPolicy \
                   PodDisruptionBudget PodDisruptionBudget Service Service StatefulSet";
    let watched = "ConfigMap Deployment NetworkPolicy PrometheusRule Service ServiceMonitor";
    let drain = "CronJob NetworkPolicy";
    assert_eq!(kinds, [deployment, cluster, drain, "ConfigMap CronJob NetworkPolicy", watched]);
}

#[test]
fn what_outlives_a_pod_is_on_a_volume_that_one_pod_has_at_a_time() {
    for (base, kind, pod) in
        [("cronjob", "CronJob", "/jobTemplate/spec/template/spec"), ("deployment", "Deployment", "/template/spec")]
    {
        let rendered = Manifests::read_all(&[render_with(base, "state")]).remove(0);
        let spec = &rendered.of(kind)["spec"];
        let pod = spec.pointer(pod).expect("it has a pod");
        let claim = &rendered.of("PersistentVolumeClaim")["metadata"]["name"];
        let has = |list: &Value, field: &str, value: &Value| {
            list.as_array().is_some_and(|list| list.iter().any(|entry| entry.pointer(field) == Some(value)))
        };
        assert!(has(&pod["volumes"], "/persistentVolumeClaim/claimName", claim), "{base}");
        let folder = Value::from("/var/lib/regferry");
        assert!(has(&pod["containers"][0]["volumeMounts"], "/mountPath", &folder), "{base}");
        let alone = [&spec["concurrencyPolicy"], &spec["strategy"]["type"]];
        assert!(alone.contains(&&Value::from("Forbid")) || alone.contains(&&Value::from("Recreate")), "{base}");
    }
}

/// Kustomize reads no file of rules: the operator's documents are copies of what promtool tests.
#[test]
fn the_prometheus_operator_is_given_the_alerts_as_they_are() {
    let rendered = [
        render(Kubectl::Pinned, "example"),
        render_job_with("alerts-cronjob"),
        render_with("deployment", "alerts-cluster"),
    ];
    let held = Manifests::held_against(&VERSIONS, &rendered);
    for (held, rules) in held.into_iter().zip(["alerts.yaml", "alerts-cronjob.yaml", "alerts-cluster.yaml"]) {
        let given = held.unwrap_or_else(|error| panic!("{rules}: {error}")).of("PrometheusRule")["spec"].clone();
        assert_eq!(given, yaml(&format!("deploy/prometheus/{rules}")), "scripts/make-prometheus-rules makes it anew");
    }
}

/// Debian's kubectl is of 2021 and knows no components, which the bases do without.
#[test]
fn the_bases_are_the_same_to_the_kubectl_of_this_machine() {
    for folder in ["deployment", "cronjob", "drain"] {
        let rendered = [Kubectl::Pinned, Kubectl::Installed].map(|kubectl| render(kubectl, folder));
        let read = Manifests::read_all(&rendered);
        assert_eq!(read[0], read[1], "{folder}");
    }
}

#[test]
fn an_overlay_replaces_namespace_image_and_configuration() {
    let example = Manifests::read(render(Kubectl::Pinned, "example"));
    assert_eq!(example.of("Deployment")["metadata"]["namespace"], "mirror");
    assert_eq!(example.container("regferry")["image"], "registry.internal.example/tools/regferry:0.1.0");
    assert!(example.config().is_some_and(|config| config.contains("base-images") && !config.contains("mirror/alpine")));
}

#[tokio::test]
async fn what_is_commented_out_in_the_configurations_holds_too() {
    for folder in ["deployment", "cluster", "cronjob"] {
        let path = format!("{REPOSITORY}/deploy/kubernetes/{folder}/regferry.toml");
        let written = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines = written.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        assert_ne!(text, written.trim_end(), "{path} has something commented out");
        Ferry::new(&["check"]).config(&text).run().await.success();
    }
}

#[test]
fn what_kubernetes_would_not_take_is_found() {
    let example = render(Kubectl::Pinned, "example");
    let mistakes = [
        ("optional: true", "optonal: true", "'optonal' was unexpected"),
        ("replicas: 1", "replicas: one", "'one' is not of type 'integer'"),
        ("replicas: 1", "replicas: 1\n  replicas: 2", "{'replicas'} is there twice"),
        ("interval: 30s", "intervall: 30s", "it has fields that are not known"),
        ("interval: 30s", "interval: often", "String should match pattern"),
    ];
    let texts = mistakes.map(|(right, wrong, _)| example.replacen(right, wrong, 1));
    for ((_, wrong, reason), held) in mistakes.into_iter().zip(Manifests::held_against(&["1.37"], &texts)) {
        assert!(held.as_ref().is_err_and(|error| error.contains(reason)), "{wrong}: {held:?}");
    }
}

#[test]
fn pods_that_drain_a_backlog_are_let_to_the_clusters_nats_and_know_its_configuration() {
    let [drain, cluster] = ["drain", "cluster"].map(|folder| Manifests::read(render(Kubectl::Pinned, folder)));
    assert_eq!(drain.arguments()[..2], ["work", "--until-empty"]);
    let cronjob = &drain.of("CronJob")["spec"];
    assert_eq!(cronjob["suspend"], true, "Jobs are made of it by hand");
    // Several pods without a count of those that have to succeed: they share a queue, and all end when it is empty.
    // https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs
    let job = &cronjob["jobTemplate"]["spec"];
    assert!(job["parallelism"].as_u64() > Some(1) && job["completions"].is_null());

    let map = &cluster.of("ConfigMap")["metadata"]["name"];
    let volumes = drain.pod()["volumes"].as_array().expect("there are volumes");
    assert!(volumes.iter().any(|volume| &volume["configMap"]["name"] == map));

    let labels = &job["template"]["metadata"]["labels"];
    let selects = |selector: &Value| selector.as_object().unwrap().iter().all(|(label, value)| &labels[label] == value);
    let service = cluster.of("Service")["spec"]["selector"].clone();
    assert!(!selects(&service), "they answer nobody");
    let from = cluster.of_program("nats", "NetworkPolicy")["spec"]["ingress"][0]["from"][0].clone();
    assert!(selects(&from["podSelector"]["matchLabels"]), "NATS lets them in");
    let out = cluster.named("NetworkPolicy", "regferry-nats")["spec"].clone();
    assert!(selects(&out["podSelector"]["matchLabels"]) && out["egress"][0]["ports"][0]["port"] == "client");
}

#[test]
fn the_servers_of_nats_take_their_configuration_and_find_each_other() {
    let cluster = Manifests::read(render(Kubectl::Pinned, "cluster"));
    let [config, service, servers] =
        ["ConfigMap", "Service", "StatefulSet"].map(|kind| cluster.of_program("nats", kind));
    let text = config["data"]["nats.conf"].as_str().expect("it is a text");
    let file = tempfile::NamedTempFile::new().expect("the temporary directory is writable");
    fs::write(file.path(), text).expect("so is the file");
    let tested = Command::new("nats-server").arg("-t").arg("-c").arg(file.path()).output().expect("it is installed");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));

    let program = cluster.config().expect("the program has one too");
    let service = &service["metadata"]["name"];
    assert_eq!(&servers["spec"]["serviceName"], service);
    for server in 0..3 {
        let name = format!("{}-{server}.{}", servers["metadata"]["name"].as_str().unwrap(), service.as_str().unwrap());
        assert!(text.contains(&format!("nats://{name}:6222")), "{name} is told of no route");
        assert!(program.contains(&format!("nats://{name}:4222")), "nobody goes to {name}");
    }
}
