//! The rights in `deploy/` against what the operator asked for in the whole suite: none too many, none missing.
//!
//! Each cluster leaves behind what its audit log says about the operator; `make rights` compares, once the suite has ended.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use http::Method;
use kube::api::{Patch, PatchParams};
use rempart::guard::{AdmissionObject, Settings, policies};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::{api_of, apply, expect_refused, send, try_apply, wait_until, yaml};
use crate::operator::world::{World, merged, pod};

/// Whose rights they are.
pub const OPERATOR: &str = "system:serviceaccount:rempart-system:rempart";

/// What everybody who has logged in may do, by the default roles of Kubernetes: needs no rule of ours.
const EVERYBODY: [(&str, &str, &str); 1] = [("create", "authentication.k8s.io", "selfsubjectreviews")];

/// Rights that no request uses, and who needs them instead.
const ASKED_BY_OTHERS: [(&str, &str, &str); 10] = [
    // The API server lets nobody write a policy or binding who may not read its parameters; see `a_policy_is_written_by_who_may_read_its_parameters`.
    ("get", "rempart.dev", "clearances"),
    ("get", "rempart.dev", "datadeclarations"),
    ("get", "rbac.authorization.k8s.io", "clusterroles"),
    ("get", "", "namespaces"),
    ("list", "rbac.authorization.k8s.io", "clusterroles"),
    // A patch by server-side apply that makes an object is a patch in the audit log; see `the_clearance_is_made_by_who_may_create_it`.
    ("create", "rempart.dev", "clearances"),
    ("create", "", "resourcequotas"),
    ("create", "", "configmaps"),
    ("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    // An update that makes the lease is an update in the audit log; see `the_lease_is_made_by_who_may_create_it`.
    ("create", "coordination.k8s.io", "leases"),
];

/// One request of the operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Asked {
    verb: String,
    group: String,
    /// With its subresource: `pods/binding`.
    resource: String,
    namespace: String,
    name: String,
    /// By authorization; what admission said is another matter.
    allowed: bool,
}

/// What a rule allows, cut as small as it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    role: String,
    verb: String,
    group: String,
    resource: String,
    /// None for a ClusterRole.
    namespace: Option<String>,
    /// None for all names.
    name: Option<String>,
}

impl Right {
    fn covers(&self, asked: &Asked) -> bool {
        let same = |right: &Option<String>, asked: &String| right.as_ref().is_none_or(|right| right == asked);
        (&self.verb, &self.group, &self.resource) == (&asked.verb, &asked.group, &asked.resource)
            && same(&self.namespace, &asked.namespace)
            && same(&self.name, &asked.name)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("rights")
}

/// Leaves behind, as `name`, what these lines of audit logs say about the operator; each contains its name.
pub fn keep(name: &str, audited: &[String]) {
    let asked: BTreeSet<Asked> = audited.iter().filter_map(|line| asked(&serde_json::from_str(line).ok()?)).collect();
    if !asked.is_empty() {
        fs::create_dir_all(folder()).expect("cargo's folder is writable");
        fs::write(folder().join(format!("{name}.json")), serde_json::to_vec(&asked).expect("it is JSON")).expect("and this one too");
    }
}

fn asked(entry: &Value) -> Option<Asked> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &entry["objectRef"];
    let decision = text(&entry["annotations"]["authorization.k8s.io/decision"]);
    // Others may speak in its name; and what is no object, such as `/version`, is open to everybody.
    let its_own = entry["user"]["username"] == OPERATOR && entry["impersonatedUser"].is_null();
    (its_own && object.is_object() && !decision.is_empty()).then(|| Asked {
        verb: text(&entry["verb"]),
        group: text(&object["apiGroup"]),
        resource: [text(&object["resource"]), text(&object["subresource"])]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/"),
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        allowed: decision == "allow",
    })
}

/// Every right in these roles.
fn rights(objects: &[Value]) -> Vec<Right> {
    let texts =
        |value: &Value| value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    let mut found = Vec::new();
    for role in objects.iter().filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role") {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let names = texts(&rule["resourceNames"]);
            let names: Vec<Option<String>> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        found.extend(names.iter().map(|name| Right {
                            role: role["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                            verb: verb.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            namespace: role["metadata"]["namespace"].as_str().map(str::to_owned),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
    }
    found
}

/// What is wrong with these rights, given all that was asked.
fn compare(rights: &[Right], asked: &BTreeSet<Asked>) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for right in rights {
        let by_others = ASKED_BY_OTHERS.contains(&(&right.verb, &right.group, &right.resource));
        let used = asked.iter().any(|asked| asked.allowed && right.covers(asked));
        let what = || format!("{} {}/{} ({})", right.verb, right.group, right.resource, right.role);
        match (used, by_others) {
            (false, false) => drop(wrong.insert(format!("not used: {}", what()))),
            (true, true) => drop(wrong.insert(format!("used after all: {}", what()))),
            _ => {}
        }
    }
    for asked in asked.iter().filter(|asked| !rights.iter().any(|right| right.covers(asked))) {
        let everybody = EVERYBODY.contains(&(&asked.verb, &asked.group, &asked.resource));
        let what = format!("{} {}/{} in namespace {:?}", asked.verb, asked.group, asked.resource, asked.namespace);
        // A request that was refused though `deploy/` allows it met a test that took the right away.
        match (asked.allowed, everybody) {
            (false, _) => drop(wrong.insert(format!("refused: {what}"))),
            (true, false) => drop(wrong.insert(format!("allowed by something else: {what}"))),
            (true, true) => {}
        }
    }
    wrong
}

#[test]
#[ignore = "needs what the whole suite leaves behind: make rights"]
fn the_operator_has_the_rights_that_it_uses_and_no_other() {
    let files = fs::read_dir(folder()).expect("the suite was run: make integration").map(|entry| entry.unwrap().path());
    let asked: BTreeSet<Asked> = files.flat_map(|path| serde_json::from_slice::<Vec<Asked>>(&fs::read(path).unwrap()).unwrap()).collect();
    let deploy = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")).unwrap();
    let objects: Vec<Value> = deploy.flat_map(|entry| yaml(&fs::read_to_string(entry.unwrap().path()).unwrap())).collect();
    let wrong = compare(&rights(&objects), &asked);
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_right_too_many_and_a_right_too_few_are_found() {
    let role = |kind: &str, namespace: &str, rules: &str| {
        yaml(&format!("{{kind: {kind}, metadata: {{name: r, namespace: {namespace}}}, rules: [{rules}]}}"))
    };
    let asked = |verb: &str, resource: &str, namespace: &str, allowed: bool| Asked {
        verb: verb.to_owned(),
        group: String::new(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: "one".to_owned(),
        allowed,
    };
    let whole = role("ClusterRole", "null", "{apiGroups: [''], resources: [pods], verbs: [list, watch]}");
    let own = role("Role", "own", "{apiGroups: [''], resources: [pods/binding], verbs: [create]}");
    let named = role("Role", "own", "{apiGroups: [''], resources: [secrets], resourceNames: [one, other], verbs: [get]}");
    let (list, watch) = (asked("list", "pods", "", true), asked("watch", "pods", "", true));
    let cases = [
        (&whole, vec![list.clone(), watch.clone()], vec![]),
        (&whole, vec![list.clone()], vec!["not used: watch /pods (r)"]),
        (&whole, vec![list.clone(), watch.clone(), asked("delete", "pods", "a", false)], vec![r#"refused: delete /pods in namespace "a""#]),
        (&whole, vec![list.clone(), watch.clone(), asked("list", "pods", "", false)], vec![]),
        (&whole, vec![list, watch, asked("get", "nodes", "", true)], vec![r#"allowed by something else: get /nodes in namespace """#]),
        (&own, vec![asked("create", "pods/binding", "own", true)], vec![]),
        (
            &own,
            vec![asked("create", "pods/binding", "other", false)],
            vec!["not used: create /pods/binding (r)", r#"refused: create /pods/binding in namespace "other""#],
        ),
        (&named, vec![asked("get", "secrets", "own", true)], vec!["not used: get /secrets (r)"]),
    ];
    for (role, asked, wanted) in cases {
        let found = compare(&rights(role), &asked.iter().cloned().collect());
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), wanted, "{asked:?}");
    }
}

/// Why the operator may `create` what it only patches.
#[tokio::test(flavor = "multi_thread")]
async fn the_clearance_is_made_by_who_may_create_it() {
    let world = World::installed("rights-create").await;
    let operator = world.cluster.user(OPERATOR, &["system:serviceaccounts", "system:authenticated"]).await;
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/rempart-operator";
    let role = world.get(path).await.unwrap();
    let mut fewer: Vec<Value> = role["rules"].as_array().cloned().unwrap_or_default();
    for rule in fewer.iter_mut().filter(|rule| rule["resources"] == json!(["clearances"])) {
        rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != "create");
    }
    world.patch(path, json!({"rules": fewer})).await;
    let clearance = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": "cluster"}, "spec": {}});
    // Only tried, until it is known that the right is gone: what is made once needs no right to be made.
    let only_tried = PatchParams::apply("test").force().dry_run();
    wait_until("it cannot be made", async || {
        match api_of(&operator, &clearance).patch("cluster", &only_tried, &Patch::Apply(&clearance)).await {
            Err(kube::Error::Api(status)) if status.message.contains("cannot create resource \"clearances\"") => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let refused = try_apply(&operator, &clearance).await.expect_err("it is not there, and cannot be made").to_string();
    assert!(refused.contains("cannot create resource \"clearances\""), "{refused}");
    world.patch(path, json!({"rules": role["rules"]})).await;
    wait_until("it can be made", async || try_apply(&operator, &clearance).await).await;
}

/// Whoever has the operator's token can make pods in the namespace of its probe, which is no way to a node.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_may_make_for_its_probe_reaches_no_node() {
    let world = World::installed("rights-probe").await;
    let operator = world.cluster.user(OPERATOR, &["system:serviceaccounts", "system:authenticated"]).await;
    let wrong = |spec: Value| merged(pod("way-out"), json!({"spec": spec}));
    for spec in [
        json!({"hostPID": true}),
        json!({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
        json!({"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]}),
    ] {
        let made = send(&operator, Method::POST, "/api/v1/namespaces/rempart-canary/pods", Some(&wrong(spec))).await.unwrap();
        expect_refused(&made, "violates PodSecurity \"restricted:latest\"");
    }
}

/// Why the operator may `create` a lease that it only updates; and it may create no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_lease_is_made_by_who_may_create_it() {
    let world = World::installed("rights-lease").await;
    let operator = world.cluster.user(OPERATOR, &["system:serviceaccounts", "system:authenticated"]).await;
    let put = async |name: &str| {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/rempart-system/leases/{name}");
        let name = name.split_once('?').map_or(name, |(name, _)| name);
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {}});
        send(&operator, Method::PUT, &path, Some(&lease)).await.map_err(|error| error.to_string())?.accepted()
    };
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/rempart-system/roles/rempart-lease";
    let rules = world.get(path).await.unwrap()["rules"].clone();
    let mut fewer = rules.clone();
    fewer[0]["verbs"].as_array_mut().unwrap().retain(|verb| verb != "create");
    world.patch(path, json!({"rules": fewer})).await;
    wait_until("it cannot be made", async || match put("rempart?dryRun=All").await {
        Err(why) if why.contains("cannot create resource \"leases\"") => Ok(()),
        other => Err(other),
    })
    .await;
    let refused = put("rempart").await.expect_err("it is not there, and cannot be made");
    assert!(refused.contains("cannot create resource \"leases\""), "{refused}");
    world.patch(path, json!({"rules": rules})).await;
    wait_until("it can be made", async || put("rempart").await).await;
    let other = put("another").await;
    assert!(other.as_ref().is_err_and(|why| why.starts_with("403")), "{other:?}");
}

/// Why the operator may `get` what it only watches: without that, the API server does not let it write the policies and
/// bindings that name these kinds as their parameters.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_written_by_who_may_read_its_parameters() {
    let world = World::installed("rights-parameters").await;
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/rempart-operator";
    let role = world.get(path).await.unwrap();
    let operator = world.cluster.user(OPERATOR, &["system:serviceaccounts", "system:authenticated"]).await;
    let policies = policies(&Settings::default());
    for (verb, group, resource) in ASKED_BY_OTHERS.into_iter().filter(|(verb, ..)| *verb != "create") {
        let kind = match resource {
            "clearances" => "Clearance",
            "datadeclarations" => "DataDeclaration",
            "namespaces" => "Namespace",
            _ => "ClusterRole",
        };
        let with_it: Vec<_> = policies.iter().filter(|object| object.object["spec"]["paramKind"]["kind"] == kind).collect();
        assert!(!with_it.is_empty(), "no policy has {kind} as its parameter");
        // A policy asks to get its parameters; a binding that selects them, once its policy is there, to list them.
        let concerned: Vec<_> = if verb == "get" {
            with_it
        } else {
            let there: Vec<Value> = with_it.iter().map(|policy| policy.object.clone()).collect();
            apply(&world.admin, &there).await;
            let bound = |object: &AdmissionObject| with_it.iter().any(|policy| object.object["spec"]["policyName"] == policy.name.as_str());
            policies.iter().filter(|object| bound(object)).collect()
        };
        let write = async || {
            for policy in &concerned {
                let path = format!("/apis/admissionregistration.k8s.io/v1/{}?dryRun=All", policy.kind.plural());
                send(&operator, Method::POST, &path, Some(&policy.object)).await.map_err(|error| error.to_string())?.accepted()?;
            }
            Ok::<_, String>(())
        };
        wait_until("they can be written", write).await;
        let mut fewer: Vec<Value> = role["rules"].as_array().cloned().unwrap_or_default();
        for rule in &mut fewer {
            let concerned = rule["apiGroups"] == json!([group]) && rule["resources"].as_array().unwrap().contains(&json!(resource));
            if let Some(verbs) = rule["verbs"].as_array_mut().filter(|_| concerned) {
                verbs.retain(|found| found != verb);
            }
        }
        fewer.retain(|rule| rule["verbs"] != json!([]));
        world.patch(path, json!({"rules": fewer})).await;
        wait_until("they cannot be written", async || match write().await {
            Err(why) if why.contains("spec.param") && why.contains("permission") => Ok(()),
            other => Err(other),
        })
        .await;
        world.patch(path, json!({"rules": role["rules"]})).await;
    }
}
