//! Documents of Kubernetes, as JSON.

use serde_json::Value;

use crate::tools;

/// What is applied together.
#[derive(Debug, PartialEq)]
pub(crate) struct Manifests(Vec<Value>);

impl Manifests {
    /// Reads YAML.
    pub(crate) fn read(yaml: String) -> Self {
        Self::read_all(&[yaml]).remove(0)
    }

    /// Reads what is applied apart from each other.
    pub(crate) fn read_all(yaml: &[String]) -> Vec<Self> {
        Self::held_against(&[], yaml).into_iter().map(|read| read.unwrap_or_else(|error| panic!("{error}"))).collect()
    }

    /// What these versions of Kubernetes take, or why they do not.
    pub(crate) fn held_against(versions: &[&str], yaml: &[String]) -> Vec<Result<Self, String>> {
        let sorted = |mut documents: Vec<Value>| {
            documents.sort_by_key(|document| [&document["kind"], &document["metadata"]["name"]].map(Value::to_string));
            Self(documents)
        };
        tools::script("documents.py", versions, yaml).into_iter().map(|read| read.map(sorted)).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.0.iter().map(|document| text(&document["kind"])).collect()
    }

    /// The program's document of a kind, if there is one: none of what stands beside it.
    pub(crate) fn find(&self, kind: &str) -> Option<&Value> {
        let name = "app.kubernetes.io/name";
        self.0.iter().find(|document| document["kind"] == kind && document["metadata"]["labels"][name] != "nats")
    }

    /// The document of a kind of what stands beside the program.
    pub(crate) fn of_program(&self, program: &str, kind: &str) -> &Value {
        let is_its = |labels: &Value| labels["app.kubernetes.io/name"] == program;
        let found = self.0.iter().find(|document| document["kind"] == kind && is_its(&document["metadata"]["labels"]));
        found.unwrap_or_else(|| panic!("there is no {kind} of {program}: {:?}", self.kinds()))
    }

    /// The document of a kind that has this name.
    pub(crate) fn named(&self, kind: &str, name: &str) -> &Value {
        let found = self.0.iter().find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} of the name {name}"))
    }

    /// The document of a kind.
    pub(crate) fn of(&self, kind: &str) -> &Value {
        self.find(kind).unwrap_or_else(|| panic!("there is no {kind}: {:?}", self.kinds()))
    }

    /// What the pods are, a Deployment's or a CronJob's.
    pub(crate) fn pod(&self) -> &Value {
        match self.find("Deployment") {
            Some(deployment) => &deployment["spec"]["template"]["spec"],
            None => &self.of("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        }
    }

    /// All containers, those that run before or beside the program too.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Value> {
        let pod = self.pod();
        [&pod["initContainers"], &pod["containers"]].into_iter().filter_map(Value::as_array).flatten()
    }

    /// A container by its name.
    pub(crate) fn container(&self, name: &str) -> &Value {
        self.containers().find(|container| container["name"] == name).expect("there is a container of this name")
    }

    /// The program's arguments.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        self.container("regferry")["args"].as_array().expect("it has arguments").iter().map(text).collect()
    }

    /// The names and values in a container's environment.
    pub(crate) fn environment(&self, container: &str) -> Vec<(&str, &str)> {
        let variables = self.container(container)["env"].as_array().expect("it has an environment");
        variables.iter().map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect()
    }

    /// The configuration, if it is among them.
    pub(crate) fn config(&self) -> Option<&str> {
        self.find("ConfigMap").map(|map| text(&map["data"]["regferry.toml"]))
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
