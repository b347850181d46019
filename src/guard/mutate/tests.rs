use super::*;
use crate::api::names::CLASS_ANNOTATION;
use crate::guard::{Kind, Settings, policies};

const RESTREINT: &str = "rempart.node-restriction.kubernetes.io/restreint";

/// A namespace of the level restreint, which the Clearance does not know yet.
fn facts() -> Facts<'static> {
    static CLEARANCE: std::sync::LazyLock<ClearanceSpec> = std::sync::LazyLock::new(|| {
        serde_json::from_value(json!({
            "levels": {"restreint": {"notAfter": "2099-01-01T00:00:00Z", "whenUnset": "fast"}, "sante": {"notAfter": "2099-01-01T00:00:00Z"}},
            "namespaces": {"known": "restreint"},
        }))
        .unwrap()
    });
    Facts {
        namespace: "emr",
        level: "restreint",
        clearance: Some(&CLEARANCE),
        declarations: Vec::new(),
        unenforced: BTreeSet::from(["observe"]),
        classes: [("fast".to_owned(), "alpha".to_owned())].into(),
    }
}

fn read(object: &Value) -> Object {
    serde_json::from_str(&object.to_string()).unwrap()
}

/// The object after the patch, by the rules of JSON patches.
fn patched(mutation: Mutation, object: &Value, facts: &Facts<'_>) -> Value {
    let mut patched = object.clone();
    for operation in mutate(mutation, &read(object), facts) {
        assert_eq!(operation["op"], "add", "{operation}");
        let path = operation["path"].as_str().unwrap();
        let (place, key) = path.rsplit_once('/').unwrap();
        let parent = patched.pointer_mut(place).unwrap_or_else(|| panic!("{place} is not there for {operation}"));
        match parent {
            Value::Array(items) => {
                assert_eq!(key, "-");
                items.push(operation["value"].clone());
            }
            parent => parent[key.replace("~1", "/").replace("~0", "~")] = operation["value"].clone(),
        }
    }
    assert_eq!(mutate(mutation, &read(&patched), facts), Vec::<Value>::new(), "what is done is done");
    patched
}

fn pod(labels: &Value, spec: &Value) -> Value {
    json!({"metadata": {"labels": labels}, "spec": spec})
}

#[test]
fn every_mutating_policy_is_here_under_its_name() {
    let policies = policies(&Settings::default());
    let names: Vec<_> = policies.iter().filter(|policy| policy.kind == Kind::MutatingPolicy).map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, Mutation::ALL.map(Mutation::as_str));
}

#[test]
fn a_pod_gets_the_selector_of_its_namespace_and_loses_none() {
    let selects =
        |spec: &Value, facts: &Facts<'_>| patched(Mutation::PodSelector, &pod(&json!({}), spec), facts)["spec"]["nodeSelector"].clone();
    assert_eq!(selects(&json!({}), &facts()), json!({RESTREINT: "cleared"}));
    assert_eq!(selects(&json!({"nodeSelector": {"disk": "fast"}}), &facts()), json!({"disk": "fast", RESTREINT: "cleared"}));
    // Another value is somebody's own, and is refused.
    assert_eq!(selects(&json!({"nodeSelector": {RESTREINT: "no"}}), &facts()), json!({RESTREINT: "no"}));
    assert_eq!(selects(&json!({"nodeSelector": {RESTREINT: ""}}), &facts()), json!({RESTREINT: "cleared"}));
    let known = Facts { namespace: "known", ..facts() };
    assert_eq!(selects(&json!({"nodeSelector": {RESTREINT: ""}}), &known), json!({RESTREINT: ""}));
    assert_eq!(selects(&json!({}), &Facts { level: "", ..facts() }), Value::Null);
    assert_eq!(selects(&json!({}), &Facts { clearance: None, ..facts() }), Value::Null);
}

#[test]
fn a_raised_pod_gets_the_selector_of_its_own_level() {
    let raised =
        |level: &str| patched(Mutation::PodSelectorRaised, &pod(&json!({SENSITIVITY: level}), &json!({})), &facts())["spec"].clone();
    assert_eq!(raised("sante")["nodeSelector"], json!({"rempart.node-restriction.kubernetes.io/sante": "cleared"}));
    assert_eq!(raised(""), json!({}));
}

#[test]
fn a_daemon_set_gets_the_selectors_of_its_namespace_and_its_template_but_of_no_level_that_is_not_enforced() {
    let selects = |level: &'static str, of_template: &str| {
        let set = json!({"spec": {"template": {"metadata": {"labels": {SENSITIVITY: of_template}}, "spec": {}}}});
        patched(Mutation::DaemonSetSelector, &set, &Facts { level, ..facts() })["spec"]["template"]["spec"]["nodeSelector"].clone()
    };
    assert_eq!(selects("restreint", "restreint"), json!({RESTREINT: "cleared"}));
    assert_eq!(selects("restreint", "sante"), json!({RESTREINT: "cleared", "rempart.node-restriction.kubernetes.io/sante": "cleared"}));
    assert_eq!(selects("observe", ""), Value::Null);
    assert_eq!(selects("", "restreint"), json!({RESTREINT: "cleared"}));
}

#[test]
fn a_declared_pod_gets_selector_label_and_the_name_of_the_declaration() {
    let declaration = |level: &str, labels: Option<Value>| -> DataDeclarationSpec {
        serde_json::from_value(json!({"level": level, "workloads": labels.map(|labels| json!({"matchLabels": labels}))})).unwrap()
    };
    let (ledger, whole) = (declaration("restreint", Some(json!({"app": "ledger"}))), declaration("sante", None));
    let (observed, broken) = (declaration("observe", None), declaration("Not-a-level", None));
    let facts =
        Facts { declarations: vec![("broken", &broken), ("ledger", &ledger), ("observed", &observed), ("whole", &whole)], ..facts() };
    let declared = patched(Mutation::Declared, &pod(&json!({"app": "ledger"}), &json!({})), &facts);
    assert_eq!(
        declared,
        json!({
            "metadata": {"labels": {"app": "ledger", SENSITIVITY: "restreint"}, "annotations": {DECLARED_BY: "ledger"}},
            "spec": {"nodeSelector": {RESTREINT: "cleared", "rempart.node-restriction.kubernetes.io/sante": "cleared"}},
        })
    );
    let other = patched(Mutation::Declared, &json!({"metadata": {}, "spec": {}}), &facts);
    assert_eq!(other, json!({"metadata": {}, "spec": {"nodeSelector": {"rempart.node-restriction.kubernetes.io/sante": "cleared"}}}));
    // A level of its own is not taken from it.
    let own = patched(Mutation::Declared, &pod(&json!({"app": "ledger", SENSITIVITY: "sante"}), &json!({})), &facts);
    assert_eq!(own["metadata"], json!({"labels": {"app": "ledger", SENSITIVITY: "sante"}}));
}

#[test]
fn a_claim_gets_the_class_of_its_level_unless_its_author_chose() {
    let class = |claim: Value| patched(Mutation::ClaimClass, &claim, &facts())["spec"]["storageClassName"].clone();
    assert_eq!(class(json!({"metadata": {}, "spec": {}})), "fast");
    assert_eq!(
        class(json!({"metadata": {}, "spec": {"storageClassName": "standard"}})),
        "fast",
        "the default of the cluster is nobody's choice"
    );
    assert_eq!(class(json!({"metadata": {}, "spec": {"storageClassName": ""}})), "");
    let owned = json!([{"fieldsV1": {"f:spec": {"f:storageClassName": {}}}}]);
    assert_eq!(class(json!({"metadata": {"managedFields": owned}, "spec": {"storageClassName": "slow"}})), "slow");
    assert_eq!(class(json!({"metadata": {"annotations": {CLASS_ANNOTATION: "slow"}}, "spec": {}})), Value::Null);
}

#[test]
fn every_term_of_a_volume_gets_the_cloud_but_one_that_fits_no_node() {
    let expression = json!({"key": NODE_CLOUD, "operator": "In", "values": ["alpha"]});
    let terms = |class: &str, terms: Value| {
        let volume = json!({"spec": {"storageClassName": class, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}});
        patched(Mutation::Volume, &volume, &facts())["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"].clone()
    };
    assert_eq!(
        patched(Mutation::Volume, &json!({"spec": {"storageClassName": "fast"}}), &facts())["spec"]["nodeAffinity"]["required"],
        json!({
            "nodeSelectorTerms": [{"matchExpressions": [expression]}],
        })
    );
    let (zone, field) = (json!({"key": "zone", "operator": "Exists"}), json!({"key": "metadata.name", "operator": "In", "values": ["a"]}));
    assert_eq!(
        terms("fast", json!([{"matchExpressions": [zone]}, {"matchFields": [field]}, {}, {"matchExpressions": [expression]}])),
        json!([
            {"matchExpressions": [zone, expression]},
            {"matchFields": [field], "matchExpressions": [expression]},
            {},
            {"matchExpressions": [expression]},
        ])
    );
    assert_eq!(terms("standard", json!([{}])), json!([{}]));
}

#[test]
fn what_no_api_server_would_send_is_read_as_no_object() {
    let read = |text: &str| serde_json::from_str::<Object>(text).map(|_| ()).map_err(|error| error.to_string());
    for selector in [r#""x""#, "[]", "1", r#"{"a": 1}"#, r#"{"a": null}"#] {
        let said = read(&format!(r#"{{"spec": {{"nodeSelector": {selector}}}}}"#));
        assert!(said.is_err(), "{selector}");
    }
    for absent in
        ["{}", r#"{"metadata": null, "spec": null}"#, r#"{"metadata": {"labels": null}, "spec": {"nodeSelector": null, "x": [{"": 0}]}}"#]
    {
        assert_eq!(read(absent), Ok(()));
    }
    let many = |count: usize| {
        let labels = (0..count).map(|number| format!(r#""{number}": """#)).collect::<Vec<_>>().join(",");
        let terms = vec!["{}"; count].join(",");
        [
            format!(r#"{{"metadata": {{"labels": {{{labels}}}}}}}"#),
            format!(r#"{{"spec": {{"nodeAffinity": {{"required": {{"nodeSelectorTerms": [{terms}]}}}}}}}}"#),
        ]
    };
    assert!(many(1_000).iter().all(|text| read(text) == Ok(())));
    for text in many(1_001) {
        assert!(read(&text).is_err_and(|why| why.contains("up to 1000")), "{text}");
    }
}
