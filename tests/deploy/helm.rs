//! The chart, as Helm's own library reads it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};

use crate::deployed;
use crate::kubernetes;
use crate::manifests::Manifests;
use crate::support::Ferry;
use crate::tools::{self, Kubectl};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/regferry");

const VALUES: [&str; 5] = ["deployment", "cluster", "cronjob", "cronjob-textfile", "cronjob-pushgateway"];

/// What the chart makes of the values that lie beside it.
pub(crate) fn rendered() -> Vec<(String, String)> {
    let made = render(&VALUES.map(values)).into_iter().map(|made| made.unwrap_or_else(|error| panic!("{error}")).yaml);
    VALUES.iter().map(|name| format!("chart of {name}")).zip(made).collect()
}

fn values(name: &str) -> String {
    let path = format!("{CHART}/ci/{name}-values.yaml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What an installation is.
#[derive(Debug)]
struct Made {
    yaml: String,
    notes: String,
}

/// What the chart makes of each of some values, or why it does not.
fn render(values: &[String]) -> Vec<Result<Made, String>> {
    let made = |mut files: BTreeMap<String, String>| {
        let notes = files.remove("regferry/templates/NOTES.txt").expect("there are notes");
        Made { yaml: files.into_values().collect::<Vec<_>>().join("\n---\n"), notes }
    };
    tools::script("with_helm.py", &["render", CHART], values).into_iter().map(|files| files.map(made)).collect()
}

/// What one set of values makes.
fn made(values: String) -> Made {
    render(&[values]).remove(0).unwrap_or_else(|error| panic!("{error}"))
}

/// The chart's metadata and its own values.
fn chart() -> Value {
    tools::script("with_helm.py", &["show", CHART], &[String::new()]).remove(0).expect("the chart can be read")
}

/// These values, and what no installation does without.
fn with_needed(values: &Value) -> String {
    let mut all = json!({"image": {"repository": "registry.example/regferry"}, "config": "# none"});
    let values = values.as_object().expect("values have names");
    all.as_object_mut().expect("so have these").extend(values.clone());
    all.to_string()
}

#[test]
fn helm_finds_nothing_to_object_to() {
    let all: Vec<_> = VALUES.map(values).into_iter().chain([String::new()]).collect();
    for (values, report) in all.iter().zip(tools::script::<Value>("with_helm.py", &["lint", CHART], &all)) {
        let report = report.expect("what it finds is no error");
        let messages = report["messages"].as_array().expect("there are messages").iter();
        let found: Vec<_> = messages.filter(|message| message["error"] != "icon is recommended").collect();
        assert!(found.is_empty(), "{found:#?}\n{values}");
    }
}

#[test]
fn every_document_of_the_chart_is_one_that_kubernetes_takes() {
    let (names, rendered): (Vec<_>, Vec<_>) = rendered().into_iter().unzip();
    for (name, held) in names.iter().zip(Manifests::held_against(&kubernetes::VERSIONS, &rendered)) {
        assert!(held.is_ok(), "{name}: {held:?}");
    }
}

#[test]
fn the_chart_is_of_this_version() {
    let chart = chart();
    assert_eq!(chart["metadata"]["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["metadata"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_value_is_in_the_readme() {
    let readme = fs::read_to_string(format!("{CHART}/README.md")).expect("there is one");
    // What has the form of Kubernetes' own objects is explained there.
    for name in names(&chart()["values"]).iter().filter(|name| !name.starts_with("resources.")) {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}

/// The names of all values, with those that they are in.
fn names(values: &Value) -> Vec<String> {
    let Some(values) = values.as_object() else { return Vec::new() };
    let of = |(name, value): (&String, &Value)| match names(value) {
        inner if inner.is_empty() => vec![name.clone()],
        inner => inner.iter().map(|inner| format!("{name}.{inner}")).collect(),
    };
    values.iter().flat_map(of).collect()
}

#[test]
fn the_chart_makes_what_the_bases_are() {
    let deployment = json!({
        "passwordsSecret": "regferry-passwords",
        "dockerConfigSecret": "regferry-docker-config",
        "networkPolicy": {"enabled": true}
    });
    let mut job = deployment.clone();
    job["mode"] = json!("cronjob");
    let charts = [
        with_needed(&deployment),
        values("cluster"),
        with_needed(&job),
        values("cronjob-textfile"),
        values("cronjob-pushgateway"),
    ];
    let charts = charts.map(|values| made(values).yaml);
    let bases = ["deployment", "cluster", "cronjob"].map(|folder| kubernetes::render(Kubectl::Pinned, folder));
    let components = ["metrics-textfile", "metrics-pushgateway"].map(kubernetes::render_job_with);
    let bases = [&bases[..], &components].concat();
    for (chart, base) in Manifests::read_all(&charts).iter().zip(Manifests::read_all(&bases)) {
        assert_eq!(chart.kinds(), base.kinds());
        for kind in chart.kinds().into_iter().filter(|kind| !["ConfigMap", "StatefulSet"].contains(kind)) {
            assert_eq!(essence(&chart.of(kind)["spec"]), essence(&base.of(kind)["spec"]), "{kind}");
        }
    }
    let cluster = Manifests::read_all(&[charts[1].clone(), bases[1].clone()]);
    for kind in ["NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"] {
        let [chart, base] =
            [0, 1].map(|place: usize| essence(&cluster[place].of_program("nats", kind)["spec"]).to_string());
        assert_eq!(chart.replace("regferry-nats", "nats"), base, "{kind} of NATS");
    }
}

#[test]
fn the_chart_mounts_a_volume_for_what_outlives_a_pod_as_the_component_does() {
    for (mode, base) in [("deployment", "deployment"), ("cronjob", "cronjob")] {
        let values = json!({
            "mode": mode,
            "stateClaim": "regferry-state",
            "passwordsSecret": "regferry-passwords",
            "dockerConfigSecret": "regferry-docker-config"
        });
        let documents = [made(with_needed(&values)).yaml, kubernetes::render_with(base, "state")];
        let documents = Manifests::read_all(&documents);
        let kind = if mode == "cronjob" { "CronJob" } else { "Deployment" };
        let [chart, base] = [0, 1].map(|place: usize| essence(&documents[place].of(kind)["spec"]));
        assert_eq!(chart, base, "{mode}");
    }
}

/// A value without labels, and without what the chart says in more words.
fn essence(value: &Value) -> Value {
    let worded = ["labels", "matchLabels", "selector", "optional", "imagePullPolicy", "suspend"];
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !worded.contains(&name.as_str()));
            // What is empty without them is left out of the bases.
            let kept = kept.map(|(name, value)| (name.clone(), essence(value)));
            kept.filter(|(_, value)| *value != json!({})).collect::<Map<_, _>>().into()
        }
        // Mounts and volumes are named, and may stand in any order.
        Value::Array(values) => {
            let mut values: Vec<_> = values.iter().map(essence).collect();
            if values.iter().all(|value| value["name"].is_string()) {
                values.sort_by_key(|value| value["name"].to_string());
            }
            values.into()
        }
        other => other.clone(),
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    refused(&[
        (json!({"mode": "daemonset"}), "/mode': value must be one of 'deployment', 'cronjob'"),
        (json!({"replicas": 2}), "additional properties 'replicas' not allowed"),
        (json!({"cronjob": {"shedule": "@daily"}}), "/cronjob': additional properties 'shedule' not allowed"),
        (json!({"cronjob": {"schedule": "15m"}}), "/cronjob/schedule': '15m' does not match pattern"),
        (json!({"cronjob": {"startingDeadlineSeconds": 5}}), "/cronjob/startingDeadlineSeconds': minimum"),
        (json!({"service": {"port": "http"}}), "/service/port': got string, want integer"),
        (json!({"config": {"rules": []}}), "/config': got object, want string"),
        (json!({"extraArgs": ["check"]}), "/extraArgs/0': 'check' does not match pattern"),
        (json!({"podAnnotations": {"a": true}}), "/podAnnotations/a': got boolean, want string"),
        (json!({"podLabels": {"app.kubernetes.io/name": "a"}}), "propertyName 'app.kubernetes.io/name'"),
        (json!({"serviceMonitor": {"labels": {"helm.sh/chart": "a"}}}), "propertyName 'helm.sh/chart'"),
        // A Service's name has no dots, and begins with a letter.
        (json!({"nameOverride": "a.b"}), "/nameOverride': 'a.b' does not match pattern"),
        (json!({"fullnameOverride": "a.b"}), "/fullnameOverride': 'a.b' does not match pattern"),
        (json!({"fullnameOverride": "2024"}), "2024 is no name for a Service"),
        (
            json!({"cluster": {"enabled": true}}),
            "config has no [cluster], and each replica would do everything by itself",
        ),
        (
            json!({"config": "[cluster]", "cluster": {"enabled": true}, "stateClaim": "a"}),
            "stateClaim: one volume is not for the replicas of a cluster",
        ),
        (json!({"cluster": {"replica": 2}}), "/cluster': additional properties 'replica' not allowed"),
        (json!({"cluster": {"nats": {"storage": "4"}}}), "/cluster/nats/storage': '4' does not match pattern"),
        // All jobs have to go to the node that has the file.
        (
            json!({"mode": "cronjob", "cronjob": {"metrics": {"textfile": {"hostPath": "/var/lib/a"}}}}),
            "/nodeSelector': minProperties",
        ),
        (
            json!({
                "mode": "cronjob", "nodeSelector": null, "cronjob": {"metrics": {"textfile": {"hostPath": "/a"}}}
            }),
            "missing property 'nodeSelector'",
        ),
        (
            json!({
                "nodeSelector": {"a": "b"},
                "cronjob": {"metrics": {"textfile": {"hostPath": "/a"}, "pushgateway": {"url": "http://a"}}}
            }),
            "/cronjob/metrics': 'not' failed",
        ),
    ]);
}

/// Helm takes a default away for a null: what is made of nothing would be port 0, or a policy that lets out all.
#[test]
fn no_default_is_taken_away() {
    let values = chart()["values"].clone();
    let single = ["mode", "terminationGracePeriodSeconds", "networkPolicy", "cronjob.metrics"];
    let single = single.into_iter().chain([
        "cronjob.metrics.textfile",
        "cronjob.metrics.pushgateway",
        "cluster",
        "cluster.autoscaling",
        "cluster.nats",
    ]);
    let inner = names(&values).into_iter().filter(|name| name.contains('.') && !name.starts_with("resources."));
    let all: Vec<_> = single.map(str::to_owned).chain(inner).collect();
    let missing = |name: &String| {
        let missing = name.rsplit('.').next().expect("a name has a last part");
        let values = name.rsplit('.').fold(Value::Null, |inner, name| json!({name: inner}));
        (values, format!("missing property '{missing}'"))
    };
    let wrong: Vec<_> = all.iter().map(missing).collect();
    refused(&wrong.iter().map(|(values, reason)| (values.clone(), reason.as_str())).collect::<Vec<_>>());
}

/// YAML would read them as numbers and the like.
#[test]
fn names_that_look_like_something_else_stay_names() {
    let named = json!({
        "fullnameOverride": "true", "nameOverride": "007",
        "existingConfigMap": "no", "passwordsSecret": "1234", "dockerConfigSecret": "null",
        "networkPolicy": {"enabled": true}, "serviceMonitor": {"enabled": true}
    });
    let mut job = named.clone();
    job["mode"] = json!("cronjob");
    job["fullnameOverride"] = json!("2024");
    job["cronjob"] = json!({"metrics": {"pushgateway": {"url": "http://a", "job": "1", "image": "12"}}});
    let made = [named, job].map(|values| made(with_needed(&values)).yaml);
    for (held, name) in Manifests::held_against(&kubernetes::VERSIONS, &made).into_iter().zip(["true", "2024"]) {
        let held = held.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(held.of("NetworkPolicy")["metadata"]["name"], name);
        assert_eq!(held.of("NetworkPolicy")["metadata"]["labels"]["app.kubernetes.io/name"], "007");
        let volumes = held.pod()["volumes"].to_string();
        for named in [r#""name":"no""#, r#""secretName":"1234""#, r#""secretName":"null""#] {
            assert!(volumes.contains(named), "{volumes}");
        }
    }
}

#[test]
fn the_alerts_know_the_file_of_metrics_whatever_the_release_is_called() {
    let names = [json!({}), json!({"fullnameOverride": "mirror"}), json!({"nameOverride": "mirror"})];
    let values = names.map(|mut values| {
        values["mode"] = json!("cronjob");
        values["nodeSelector"] = json!({"a": "b"});
        values["cronjob"] = json!({"metrics": {"textfile": {"hostPath": "/textfile"}}});
        made(with_needed(&values)).yaml
    });
    let files = Manifests::read_all(&values).iter().map(deployed::metrics_file).collect::<Vec<_>>();
    assert_eq!(files, ["regferry.prom", "regferry-mirror.prom", "regferry-mirror.prom"]);
}

#[test]
fn what_no_installation_does_without_is_asked_for() {
    refused(&[
        (json!({"image": {"repository": ""}}), "image.repository: name the image that you have built"),
        (json!({"config": ""}), "config or existingConfigMap: one of them has to say what is mirrored"),
    ]);
}

/// Each of these values is refused for its reason.
fn refused(wrong: &[(Value, &str)]) {
    let all: Vec<_> = wrong.iter().map(|(values, _)| with_needed(values)).collect();
    for ((values, reason), made) in wrong.iter().zip(render(&all)) {
        assert!(made.as_ref().is_err_and(|error| error.contains(reason)), "{values}: {made:?}");
    }
}

#[tokio::test]
async fn the_notes_name_what_was_installed() {
    let notes = made(with_needed(&json!({}))).notes;
    assert!(notes.contains("kubectl -n mirror logs deploy/regferry --follow"), "{notes}");
    assert!(notes.contains("exec deploy/regferry -- /usr/local/bin/regferry status"), "{notes}");
    Ferry::new(&["status", "--help"]).run().await.success();
    let notes = made(values("cronjob")).notes;
    assert!(notes.contains("create job --from=cronjob/regferry regferry-$(date +%s)"), "{notes}");
    assert!(notes.contains("Their metrics are lost"), "{notes}");
    let notes = made(values("cronjob-pushgateway")).notes;
    assert!(!notes.contains("Their metrics are lost"), "{notes}");
}

#[test]
fn the_pushgateway_is_reached_where_its_url_says() {
    let cases = [
        ("http://pushgateway.monitoring.svc:9091", 9091),
        ("http://pushgateway2", 80),
        ("https://push2.example/behind/9000", 443),
        ("http://[::1]:9092/", 9092),
    ];
    for (url, port) in cases {
        let values = with_needed(&json!({
            "mode": "cronjob",
            "networkPolicy": {"enabled": true},
            "cronjob": {"metrics": {"pushgateway": {"url": url}}}
        }));
        let policy = Manifests::read(made(values).yaml);
        let egress = policy.of("NetworkPolicy")["spec"]["egress"].as_array().expect("it is a list").clone();
        assert_eq!(egress.last().expect("there is one")["ports"][0]["port"], port, "{url}");
    }
}

#[test]
fn a_folder_of_the_node_means_nothing_to_a_deployment() {
    let values = with_needed(&json!({"cronjob": {"metrics": {"textfile": {"hostPath": "/var/lib/a"}}}}));
    assert!(!made(values).yaml.contains("/var/lib/a"));
}

/// Helm reads numbers as floating point, and writes large ones as such.
#[test]
fn large_numbers_stay_numbers() {
    let job = Manifests::read(made(values("cronjob")).yaml);
    let seconds = &job.of("CronJob")["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"];
    assert_eq!(seconds, &json!(2_592_000));
}
