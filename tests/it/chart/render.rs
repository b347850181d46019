//! What the chart renders: the same each time, and taken by the API server whatever is switched on.

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{HELM, objects, render, try_render};
use crate::cluster::{api_of, apply, wait_until, yaml};
use crate::configuration::configured;
use crate::operator::world::World;

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rempart/profiles/small.yaml");
const LARGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rempart/profiles/large.yaml");

/// Switches, each of which makes something else of the chart.
const SWITCHES: [&[&str]; 17] = [
    &[],
    &["--set", "replicas=1"],
    &["-f", SMALL],
    &["-f", LARGE],
    &["--set", "image.registry=registry.example:5000/mirror/,image.tag=1.2.3,image.pullPolicy=Always,image.pullSecrets[0].name=pull"],
    &["--set", "image.digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    &["--set", "grants=enforce,nodeLabelers={system:serviceaccount:karpenter:karpenter,joe},apiServers={https://192.0.2.1:6443}"],
    &[
        "--set",
        "probeEvery=1m,lease.duration=60s,lease.renewWithin=40s,lease.renewEvery=5s,log.level=debug\\,rempart=trace,log.format=text",
    ],
    &["--set", "crds.install=false,rbac.aggregate=false,service.enabled=false,podDisruptionBudget.enabled=false"],
    &["--set", "presets.enabled=true"],
    &["--set", "presets.enabled=true,presets.levels={restreint}"],
    &["--set", "networkPolicy.enabled=true"],
    &["--set-json", r#"networkPolicy={"enabled": true, "apiServerPorts": [8443], "metricsFrom": [{"namespaceSelector": {}}]}"#],
    &["--set", "serviceMonitor.enabled=true,serviceMonitor.interval=30s,serviceMonitor.labels.release=prom,service.annotations.a=b"],
    &[
        "--set",
        "prometheusRule.enabled=true,prometheusRule.labels.release=prom,prometheusRule.clearanceEndsWithin=2d,prometheusRule.webhookCertificateEndsWithin=30m,dashboard.enabled=true",
    ],
    &[
        "--set-json",
        r#"tolerations=[{"key": "a", "operator": "Exists"}],affinity={"nodeAffinity": {}},extraEnv=[{"name": "A", "value": "b"}],topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]"#,
        "--set",
        "priorityClassName=system-cluster-critical,nodeSelector.a=b,podAnnotations.a=b,podLabels.a=b,extraArgs={--listen=[::]:8080},resources=null",
    ],
    &[
        "--set-json",
        r#"extraObjects=[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "{apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-b'}}"]"#,
    ],
];

#[test]
fn two_renders_are_the_same_to_the_byte() {
    for flags in SWITCHES {
        assert_eq!(render(flags), render(flags), "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_what_every_switch_makes() {
    let world = World::installed("chart-render").await;
    for name in ["servicemonitors", "prometheusrules"] {
        let file = HELM.crds.join(format!("monitoring.coreos.com_{name}.yaml"));
        apply(&world.admin, &yaml(&std::fs::read_to_string(file).unwrap())).await;
        wait_until("the kind is served", async || world.get(&format!("/apis/monitoring.coreos.com/v1/{name}")).await).await;
    }
    let mut rendered: BTreeMap<String, &[&str]> = BTreeMap::new();
    for flags in SWITCHES {
        for mut object in objects(flags) {
            let cluster_wide = ["Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "SensitivityLevel"];
            if !cluster_wide.contains(&object["kind"].as_str().unwrap_or_default()) && object["metadata"]["namespace"].is_null() {
                object["metadata"]["namespace"] = "rempart-system".into();
            }
            rendered.entry(object.to_string()).or_insert(flags);
        }
    }
    eprintln!("{} different objects", rendered.len());
    let params =
        PatchParams { dry_run: true, field_validation: Some(kube::api::ValidationDirective::Strict), ..PatchParams::apply("helm").force() };
    for (object, flags) in rendered {
        let object: Value = serde_json::from_str(&object).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        let taken = api_of(&world.admin, &object).patch(name, &params, &Patch::Apply(&object)).await;
        assert!(taken.is_ok(), "{flags:?}: {} {name}: {taken:?}", object["kind"]);
    }
}

#[test]
fn what_is_switched_off_is_not_there_and_what_is_switched_on_is() {
    let names = |flags: &[&str], kind: &str| -> Vec<String> {
        let found = objects(flags).into_iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] != "rempart-config");
        found.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let off: [(&str, &str, usize); 5] = [
        ("crds.install", "CustomResourceDefinition", 4),
        ("service.enabled", "Service", 1),
        ("podDisruptionBudget.enabled", "PodDisruptionBudget", 1),
        ("rbac.aggregate", "ClusterRole", 2),
        ("presets.enabled", "SensitivityLevel", 13),
    ];
    for (switch, kind, count) in off {
        let with = |value: &str| names(&["--set", &format!("{switch}={value}")], kind).len();
        assert_eq!(with("true") - with("false"), count, "{switch}");
    }
    for (switch, kind) in [
        ("networkPolicy", "NetworkPolicy"),
        ("serviceMonitor", "ServiceMonitor"),
        ("prometheusRule", "PrometheusRule"),
        ("dashboard", "ConfigMap"),
    ] {
        assert!(names(&[], kind).is_empty(), "{kind} is not asked for");
        assert_eq!(names(&["--set", &format!("{switch}.enabled=true")], kind).len(), 1, "{switch}");
    }
    assert_eq!(names(&["--set", "replicas=1"], "PodDisruptionBudget").len(), 0, "one replica must not keep a node from being drained");
    let extended = names(&["--set", "presets.enabled=true,presets.levels={restreint}"], "SensitivityLevel");
    assert_eq!(extended, ["interne", "restreint"], "a level comes with those that it extends");
    let goes = objects(&["--set", "presets.enabled=true"]).into_iter().find(|object| {
        let stays = object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
        stays != ["CustomResourceDefinition", "SensitivityLevel"].contains(&object["kind"].as_str().unwrap())
    });
    assert_eq!(goes, None, "what holds data or levels stays, and nothing else");
}

#[test]
fn the_crds_in_the_chart_are_those_that_the_operator_prints() {
    let printed: BTreeMap<String, Value> =
        rempart::api::crds().into_iter().map(|crd| (crd.metadata.name.clone().unwrap(), json!(crd)["spec"].clone())).collect();
    let rendered: BTreeMap<String, Value> = objects(&["--show-only", "templates/crds.yaml"])
        .into_iter()
        .map(|crd| (crd["metadata"]["name"].as_str().unwrap().to_owned(), crd["spec"].clone()))
        .collect();
    assert_eq!(rendered, printed);
}

#[test]
fn a_value_that_is_mistyped_is_refused_and_an_unquoted_off_is_off() {
    for (wrong, says) in [
        ("replcas=3", "replcas"),
        ("grants=maybe", "grants"),
        ("image.digest=latest", "digest"),
        ("lease.duration=15", "duration"),
        ("presets.enabled=true,presets.levels={restrient}", "there is no preset \"restrient\"; there are confidentiel"),
        ("serviceMonitor.enabled=true,service.enabled=false", "serviceMonitor.enabled needs service.enabled"),
    ] {
        let refused = try_render(&["--set", wrong]);
        assert!(refused.as_ref().is_err_and(|said| said.contains(says)), "{wrong}: {refused:?}");
    }
    assert_eq!(yaml(&config(&["--set-json", "grants=false"]))[0]["grants"], "off");
}

/// What the operator is told where the chart is rendered with these flags.
fn config(flags: &[&str]) -> String {
    let found = objects(flags).into_iter().find(|object| object["metadata"]["name"] == "rempart-config");
    found.expect("there is always one")["data"]["config.yaml"].as_str().expect("it is a file").to_owned()
}

#[test]
fn the_operator_takes_every_configuration_that_the_chart_writes() {
    for flags in SWITCHES {
        let said = configured(&config(flags)).unwrap_or_else(|said| panic!("{flags:?}: {said}"));
        if let [_, set] = flags
            && set.starts_with("grants=enforce")
        {
            assert!(said.contains("grants=enforce (file)") && said.contains("apiServers=https://192.0.2.1:6443 (file)"), "{said}");
            assert!(said.contains("nodeLabelers=system:serviceaccount:karpenter:karpenter,joe (file)"), "{said}");
        }
        for key in ["grants", "lease.duration", "lease.renewEvery", "lease.renewWithin", "log.format", "log.level", "probeEvery"] {
            assert!(said.contains(&format!("{key}=")), "{key} of the values is not told to the operator: {said}");
        }
    }
}

#[test]
fn a_profile_is_the_defaults_but_for_the_size_of_the_cluster() {
    let deployment = |flags: &[&str]| {
        let rendered = objects(flags);
        let mut found = rendered.iter().find(|object| object["kind"] == "Deployment").expect("there is one").clone();
        let replicas = found["spec"]["replicas"].take().as_u64().expect("it is a number");
        let memory = found["spec"]["template"]["spec"]["containers"][0]["resources"].take()["limits"]["memory"].clone();
        let memory =
            memory.as_str().expect("it has a limit").replace("1Gi", "1024Mi").trim_end_matches("Mi").parse::<u64>().expect("in Mi");
        found["spec"]["template"]["metadata"]["annotations"].take();
        let budgets = rendered.iter().filter(|object| object["kind"] == "PodDisruptionBudget").count();
        (replicas, memory, budgets, found)
    };
    let (small, normal, large) = (deployment(&["-f", SMALL]), deployment(&[]), deployment(&["-f", LARGE]));
    assert!(small.0 < normal.0 && normal.0 < large.0 && small.1 < normal.1 && normal.1 < large.1);
    assert_eq!((small.2, normal.2, large.2), (0, 1, 1), "one replica must not keep a node from being drained");
    assert!(small.3 == normal.3 && large.3 == normal.3, "nothing else of the pods changes");
    assert_eq!(config(&["-f", SMALL]).replace("probeEvery: 2m", "probeEvery: 30s"), config(&[]));
    assert_eq!(config(&["-f", LARGE]), config(&[]));
}

#[test]
fn pods_are_restarted_for_what_needs_it_and_not_for_what_is_logged() {
    let deployment = |set: &str| objects(&["--set", set, "--show-only", "templates/deployment.yaml"])[0].to_string();
    let before = deployment("replicas=2");
    assert_eq!(deployment("log.level=debug"), before);
    for set in [
        "grants=off",
        "nodeLabelers={joe}",
        "apiServers={https://192.0.2.1}",
        "probeEvery=31s",
        "lease.duration=16s",
        "lease.renewWithin=11s",
        "lease.renewEvery=3s",
        "log.format=text",
    ] {
        assert_ne!(deployment(set), before, "{set}");
    }
}
