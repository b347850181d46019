use std::collections::BTreeMap;

use regex::Regex;

use super::levels::DESCRIPTION;
use super::*;
use crate::api::names::{self, SENSITIVITY};

fn with_levels(audit: &[&str], warn: &[&str]) -> Settings {
    let set = |levels: &[&str]| levels.iter().map(|level| (*level).to_owned()).collect();
    Settings { audit: set(audit), warn: set(warn), ..Settings::default() }
}

fn policies_of(objects: &[AdmissionObject]) -> impl Iterator<Item = &AdmissionObject> {
    objects.iter().filter(|object| matches!(object.kind, Kind::ValidatingPolicy | Kind::MutatingPolicy))
}

/// Settings that leave nothing out.
fn whole() -> Settings {
    Settings { withheld: ["withholding".to_owned()].into(), ..with_levels(&["audited"], &["warned"]) }
}

/// What `kubectl apply` would be given.
fn text(objects: impl IntoIterator<Item = AdmissionObject>) -> String {
    let documents: Vec<String> = objects.into_iter().map(|object| serde_saphyr::to_string(&object.object).unwrap()).collect();
    documents.join("---\n")
}

/// Every string in `value`, with where it stands.
fn strings(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::String(text) => vec![(String::new(), text.clone())],
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(i, item)| strings(item).into_iter().map(move |(p, s)| (format!("[{i}]{p}"), s))).collect()
        }
        Value::Object(fields) => {
            fields.iter().flat_map(|(k, field)| strings(field).into_iter().map(move |(p, s)| (format!(".{k}{p}"), s))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn the_whole_set_reads_like_this() {
    insta::assert_snapshot!(text(policies(&whole())));
}

#[test]
fn this_is_what_other_settings_change() {
    let settings = Settings {
        operator: "system:serviceaccount:sovereignty:placement".to_owned(),
        namespace: "sovereignty".to_owned(),
        node_labelers: vec!["system:serviceaccount:fleet:o'brien".to_owned()],
        withheld: ["sante".to_owned()].into(),
        schedulers: ["other-scheduler".to_owned()].into(),
        classes: [("fast".to_owned(), "alpha".to_owned())].into(),
        snapshot_classes: ["snap".to_owned()].into(),
        attributes_classes: ["gold".to_owned()].into(),
        attributes_clouds: [("gold".to_owned(), "alpha".to_owned())].into(),
        cleared: [("alpha".to_owned(), ["sante".to_owned()].into())].into(),
        drivers: ["disk.example".to_owned()].into(),
        exclusive_drivers: ["disk.example".to_owned()].into(),
        named_otherwise: ["fast".to_owned()].into(),
        namespaces: [("clinic".to_owned(), "sante".to_owned())].into(),
        static_levels: ["sante".to_owned()].into(),
        ..with_levels(&["interne"], &["restreint", "strategique"])
    };
    let before: BTreeMap<_, _> = policies(&whole()).into_iter().map(|object| ((object.kind, object.name.clone()), object.object)).collect();
    let filled = Regex::new(r"(system:kube-scheduler', )?'(sovereignty|system:serviceaccount:[^ ]*|interne|other-scheduler|fast|snap|gold|alpha|disk.example|clinic|sante)'.*?[\])}]").unwrap();
    let mut changes = Vec::new();
    for object in policies(&settings) {
        let old = strings(&before[&(object.kind, object.name.clone())]);
        for (place, line) in strings(&object.object).into_iter().filter(|entry| !old.contains(entry)) {
            let shown = filled.find_iter(&line).map(|found| found.as_str()).collect::<Vec<_>>().join(" … ");
            changes.push(format!("{} {}{place}: {}", object.kind.as_str(), object.name, if shown.is_empty() { &line } else { &shown }));
        }
    }
    insta::assert_snapshot!(changes.join("\n"));
}

#[test]
fn the_default_settings_change_nothing_in_the_files_but_leave_out_what_selects_nothing() {
    let rendered = policies(&Settings::default());
    let mut files: Vec<_> = SOURCE.iter().cloned().map(finished).collect();
    levels::leave_out_what_selects_nothing(&mut files);
    assert_eq!(files.len(), rendered.len());
    for object in files {
        let found = rendered.iter().find(|found| found.key() == object.key()).unwrap();
        assert_eq!(found.object["spec"], object.object["spec"], "{}", object.key());
    }
}

#[test]
fn neither_number_nor_names_nor_shape_depend_on_how_many_levels_there_are() {
    let many: Vec<String> = (0..50).map(|i| format!("level-{i:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (one, fifty) = (whole(), with_levels(&many[..25], &many[25..]));
    let fifty = Settings { withheld: fifty.audit.clone(), ..fifty };
    let (one, fifty) = (policies(&one), policies(&fifty));
    assert_eq!(one.len(), fifty.len());
    for (a, b) in one.iter().zip(&fifty) {
        assert_eq!((a.kind, &a.name), (b.kind, &b.name));
        let places = |object: &AdmissionObject| -> Vec<String> {
            let mut places: Vec<String> = strings(&object.object).into_iter().map(|(place, _)| place).collect();
            // Only lists of levels are longer.
            places.retain(|place| !place.contains(".values["));
            places
        };
        assert_eq!(places(a), places(b), "{}", a.name);
    }
}

#[test]
fn what_is_about_levels_of_which_there_are_none_is_left_out() {
    let keys = |settings: &Settings| policies(settings).iter().map(AdmissionObject::key).collect::<BTreeSet<_>>();
    let absent = |settings: &Settings| (&keys(&whole()) - &keys(settings)).into_iter().collect::<Vec<_>>();
    assert_eq!(
        absent(&Settings::default()),
        [
            "ValidatingAdmissionPolicy/rempart-bind-unenforced",
            "ValidatingAdmissionPolicy/rempart-claim-unenforced",
            "ValidatingAdmissionPolicy/rempart-pod-raised-unenforced",
            "ValidatingAdmissionPolicy/rempart-pod-unenforced",
            "ValidatingAdmissionPolicy/rempart-token",
            "ValidatingAdmissionPolicyBinding/rempart-bind-audit",
            "ValidatingAdmissionPolicyBinding/rempart-claim-audit",
            "ValidatingAdmissionPolicyBinding/rempart-claim-warn",
            "ValidatingAdmissionPolicyBinding/rempart-pod-audit",
            "ValidatingAdmissionPolicyBinding/rempart-pod-raised-audit",
            "ValidatingAdmissionPolicyBinding/rempart-pod-raised-warn",
            "ValidatingAdmissionPolicyBinding/rempart-pod-warn",
            "ValidatingAdmissionPolicyBinding/rempart-token",
        ]
    );
    assert_eq!(
        absent(&Settings { withheld: BTreeSet::new(), ..with_levels(&["a"], &[]) }),
        [
            "ValidatingAdmissionPolicy/rempart-token",
            "ValidatingAdmissionPolicyBinding/rempart-claim-warn",
            "ValidatingAdmissionPolicyBinding/rempart-pod-raised-warn",
            "ValidatingAdmissionPolicyBinding/rempart-pod-warn",
            "ValidatingAdmissionPolicyBinding/rempart-token",
        ]
    );
    for object in policies(&Settings::default()) {
        let selectors = strings(&object.object).into_iter().filter(|(place, _)| place.contains("Selector"));
        assert!(selectors.clone().all(|(_, text)| text != NO_LEVEL && text != NONE_WITHHELD), "{}", object.key());
        // The API server stores no empty list, and would seem to have changed it.
        assert!(!object.object.to_string().contains("\"matchExpressions\":[]"), "{}", object.key());
    }
}

#[test]
fn the_set_stays_small() {
    let objects = policies(&whole());
    let pods_created =
        objects.iter().filter(|object| object.object["spec"]["matchConstraints"]["resourceRules"][0]["resources"] == json!(["pods"]));
    assert_eq!((objects.len(), pods_created.filter(|object| object.object.to_string().contains("CREATE")).count()), (75, 8));
    assert_eq!(policies(&Settings::default()).len(), 62);
    for object in &objects {
        assert!(object.object.to_string().len() < 12_000, "{} has become long", object.name);
    }
}

/// An API server parses the selectors of every policy anew for every request, before it looks at the resource: each label and each value
/// costs a pod more than all the rest of a policy that does not concern it.
#[test]
fn a_pod_of_a_plain_namespace_meets_few_selectors_and_one_policy() {
    let objects = policies(&Settings::default());
    let constraints = |policy: &AdmissionObject| policy.object["spec"]["matchConstraints"].clone();
    let selectors = |policy: &AdmissionObject| ["namespaceSelector", "objectSelector"].map(|name| constraints(policy)[name].clone());
    let texts = policies_of(&objects).flat_map(selectors).flat_map(|selector| strings(&selector));
    let parsed = texts.filter(|(place, _)| !place.ends_with(".operator")).count();
    assert!(parsed <= 9, "{parsed} labels and values: can it stand in the binding?");

    let met: Vec<_> = policies_of(&objects)
        .filter(|policy| constraints(policy)["resourceRules"].to_string().contains(r#"["CREATE"],"resources":["pods"]"#))
        .filter(|policy| selectors(policy).iter().all(|selector| strings(selector).is_empty()))
        .map(AdmissionObject::key)
        .collect();
    assert_eq!(met, ["MutatingAdmissionPolicy/rempart-declared"], "it asks for the declarations of every namespace");
}

/// A level or a mark that a namespace of the system had before there was a guard must not stop the cluster.
#[test]
fn namespaces_of_the_system_are_left_out_of_what_judges_pods() {
    let objects = policies(&whole());
    let leaves_out = |object: &AdmissionObject| object.object["spec"].to_string().contains("kube-node-lease");
    for policy in policies_of(&objects) {
        let rules = policy.object["spec"]["matchConstraints"]["resourceRules"].to_string();
        let judges = [r#""pods""#, r#""daemonsets""#, r#""bindings""#, r#""persistentvolumeclaims""#]
            .into_iter()
            .any(|resource| rules.contains(resource));
        // These look at nothing that the system has: a label on a Binding, the operator's own namespace.
        if !judges || ["rempart-bind-label", "rempart-self-identity"].contains(&policy.name.as_str()) {
            continue;
        }
        let bindings =
            objects.iter().filter(|object| object.kind.policy() == policy.kind && object.object["spec"]["policyName"] == policy.name);
        assert!(leaves_out(policy) || bindings.clone().count() > 0 && bindings.clone().all(leaves_out), "{}", policy.key());
    }
}

#[test]
fn order_is_policies_then_bindings_and_always_the_same() {
    let objects = policies(&with_levels(&["a"], &["b"]));
    assert_eq!(objects, policies(&with_levels(&["a"], &["b"])));
    assert!(objects.is_sorted_by_key(|object| object.kind));
    for binding in objects.iter().filter(|object| matches!(object.kind, Kind::MutatingBinding | Kind::ValidatingBinding)) {
        let policy_kind = if binding.kind == Kind::MutatingBinding { Kind::MutatingPolicy } else { Kind::ValidatingPolicy };
        assert!(
            objects.iter().any(|policy| policy.kind == policy_kind && binding.object["spec"]["policyName"] == policy.name),
            "{}",
            binding.name
        );
    }
}

#[test]
fn a_digest_names_the_set() {
    let of = |settings: &Settings| digest(&policies(settings));
    let default = of(&Settings::default());
    assert!(Regex::new("^sha256:[0-9a-f]{64}$").unwrap().is_match(&default), "{default}");
    assert_eq!(default, of(&Settings::default()));
    assert_ne!(default, of(&with_levels(&["a"], &[])));
    assert_ne!(of(&with_levels(&[], &["a"])), of(&with_levels(&["a"], &[])));
    let storing = Settings { classes: [("fast".to_owned(), "alpha".to_owned())].into(), ..Settings::default() };
    assert_ne!(default, of(&storing));
    assert_eq!(default, digest(&constant_text(&storing)), "what changes with the fleet is no other text");
}

/// Facts 1, 2 and 17: what stops a cluster.
#[test]
fn what_fails_closed_on_a_parameter_matches_only_creations_behind_our_own_label() {
    for policy in policies_of(&policies(&with_levels(&["a"], &["b"]))) {
        let spec = &policy.object["spec"];
        for condition in spec["matchConditions"].as_array().into_iter().flatten() {
            assert!(
                !condition["expression"].as_str().unwrap().contains("namespaceObject"),
                "{}: namespaceObject is empty in conditions",
                policy.name
            );
        }
        // Namespaces are read by the API server itself, from its start on; only kinds of a CRD may be unreadable.
        if spec["failurePolicy"] != "Fail"
            || spec["paramKind"].is_null()
            || spec["paramKind"] == json!({"apiVersion": "v1", "kind": "Namespace"})
        {
            continue;
        }
        for rule in spec["matchConstraints"]["resourceRules"].as_array().unwrap() {
            assert_eq!(rule["operations"], json!(["CREATE"]), "{}: a missing parameter would refuse updates", policy.name);
        }
        let selectors = ["namespaceSelector", "objectSelector"].map(|name| spec["matchConstraints"][name]["matchExpressions"].clone());
        let asks = |operator: &str| {
            let ours = |e: &&Value| e["key"].as_str().unwrap().starts_with("rempart.dev/") && e["operator"] == operator;
            selectors.iter().flat_map(|all| all.as_array().into_iter().flatten()).find(ours)
        };
        if policy.name == "rempart-token" {
            assert_eq!(asks("In").unwrap()["values"], json!([NONE_WITHHELD]), "{}: levels that keep tokens would meet it", policy.name);
            continue;
        }
        assert!(asks("Exists").is_some(), "{}: plain namespaces would meet it", policy.name);
        assert!(policy.name == "rempart-declared" || asks("NotIn").unwrap()["values"] == json!(["a", "b", NO_LEVEL]), "{}", policy.name);
    }
}

#[test]
fn what_reports_on_unenforced_levels_can_never_refuse() {
    let objects = policies(&with_levels(&["a"], &["b"]));
    let copies: Vec<_> = policies_of(&objects).filter(|policy| policy.name.ends_with("-unenforced")).collect();
    assert_eq!(copies.len(), 4);
    for copy in copies {
        assert_eq!(copy.object["spec"]["failurePolicy"], "Ignore");
        let bindings: Vec<_> = objects.iter().filter(|object| object.object["spec"]["policyName"] == copy.name).collect();
        assert!(!bindings.is_empty());
        for binding in bindings {
            assert_eq!(binding.object["spec"]["paramRef"]["parameterNotFoundAction"], "Allow");
            assert!(!binding.object["spec"]["validationActions"].as_array().unwrap().contains(&json!("Deny")));
        }
    }
}

#[test]
fn mutations_ignore_failures_since_a_validation_demands_what_they_add() {
    for policy in policies_of(&policies(&Settings::default())).filter(|policy| policy.kind == Kind::MutatingPolicy) {
        assert_eq!(policy.object["spec"]["failurePolicy"], "Ignore", "{}", policy.name);
    }
}

#[test]
fn every_refusal_has_a_message_of_one_line_and_a_reason_and_every_policy_a_description() {
    for policy in policies_of(&policies(&Settings::default())) {
        let description = policy.object["metadata"]["annotations"][DESCRIPTION].as_str().unwrap();
        assert!(!description.contains('\n') && description.len() < 180, "{description}");
        for validation in policy.object["spec"]["validations"].as_array().into_iter().flatten() {
            assert_eq!(validation["reason"], "Forbidden", "{}", policy.name);
            assert!(!validation["message"].as_str().unwrap().contains('\n'), "{}", policy.name);
        }
    }
}

#[test]
fn the_names_in_the_files_are_those_of_the_api() {
    let known = [SENSITIVITY, names::DECLARED, names::DECLARED_BY, names::NODE_CLOUD, "rempart.dev/v1alpha1", "rempart.dev/"];
    let key = Regex::new(r"[a-z.-]*rempart[a-z.-]*/[a-z0-9-]*").unwrap();
    for (place, line) in SOURCE.iter().flat_map(strings) {
        for found in key.find_iter(&line).map(|found| found.as_str()) {
            let is_clearance = found == names::CLEARANCE_PREFIX;
            assert!(is_clearance || known.contains(&found) || found == "sensitivitylevels.rempart.dev/", "{found} in {place}");
        }
    }
    let all = FILES.concat();
    for name in [names::CANARY, NO_LEVEL, names::CLEARED, OPERATOR, NAMESPACE] {
        assert!(all.contains(name), "{name}");
    }
}

#[test]
fn a_name_is_text_whatever_it_looks_like_and_never_a_place() {
    for (name, literal) in [
        ("rempart_class", r"'rempart\u005fclass'"),
        ("a'rempart_class", r"'a\'rempart\u005fclass'"),
        (NAMESPACE, "'rempart-system'"),
        (NO_LEVEL, "'rempart-none'"),
        (OPERATOR, "'system:serviceaccount:rempart-system:rempart'"),
        ("a\rb\nc\u{7f}\u{85}\\", r"'a\u000db\u000ac\u007f\u0085\\'"),
    ] {
        let settings = Settings {
            operator: "the-operator".to_owned(),
            namespace: "its-namespace".to_owned(),
            schedulers: [name.to_owned()].into(),
            classes: [("fast".to_owned(), "alpha".to_owned())].into(),
            ..with_levels(&["audited"], &[])
        };
        let all: Vec<String> = policies(&settings).iter().flat_map(|object| strings(&object.object)).map(|(_, text)| text).collect();
        let lists = all.iter().flat_map(|text| text.split("['system:kube-scheduler', ").skip(1));
        let lists: Vec<&str> = lists.map(|rest| &rest[..rest.find(']').unwrap()]).collect();
        assert!(lists.len() >= 2, "{name}");
        for list in lists {
            assert_eq!(list, literal, "{name}");
        }
    }
}
