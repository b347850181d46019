//! What becomes of policies as levels are enforced, only reported on, or not there at all.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{AdmissionObject, Kind, NONE_WITHHELD, Settings, names, unenforced};
use crate::api::names::{NO_LEVEL, SENSITIVITY};

/// For a policy that judges by level: a copy that ignores failures and only reports, for the levels that the policy
/// leaves out. Nothing adds the selector to pods of such a level, so its absence is not held against them.
pub(super) fn reports_on_unenforced(policy: &Value, all: &[Value], settings: &Settings) -> Vec<Value> {
    if policy["kind"] != Kind::ValidatingPolicy.as_str() || policy["spec"]["paramKind"]["kind"] != "Clearance" {
        return Vec::new();
    }
    let Some(selector) = ["namespaceSelector", "objectSelector"].into_iter().find(|name| leaves_levels_out(policy, name)) else {
        return Vec::new();
    };
    let original = policy["metadata"]["name"].as_str().unwrap_or_default();
    let name = format!("{original}-unenforced");
    let Some(bound) =
        all.iter().find(|object| object["kind"] == Kind::ValidatingBinding.as_str() && object["spec"]["policyName"] == original)
    else {
        return Vec::new();
    };
    let resources = &policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"];

    let mut copy = policy.clone();
    copy["metadata"]["name"] = name.as_str().into();
    let description = &mut copy["metadata"]["annotations"][DESCRIPTION];
    *description = format!("Reports, never refuses, for levels in Audit or Warn: {}", description.as_str().unwrap_or_default()).into();
    copy["spec"]["failurePolicy"] = "Ignore".into();
    // What can not refuse needs no selector of its own beside that of its bindings, and one costs every request, unless the binding
    // would be asked as often.
    copy["spec"]["matchConstraints"][selector] =
        if resources == &json!(["pods"]) { json!({"matchExpressions": [one_of(&unenforced(settings))]}) } else { json!({}) };
    for variable in copy["spec"]["variables"].as_array_mut().into_iter().flatten() {
        if variable["name"] == "selectorRequired" {
            variable["expression"] = "false".into();
        }
    }

    let binding = |suffix: &str, levels: &BTreeSet<String>, actions: &[&str]| {
        let mut binding = bound.clone();
        binding["metadata"]["name"] = format!("{original}-{suffix}").into();
        binding["spec"]["policyName"] = name.as_str().into();
        binding["spec"]["paramRef"]["parameterNotFoundAction"] = "Allow".into();
        binding["spec"]["validationActions"] = json!(actions);
        let selection = &mut binding["spec"]["matchResources"][selector]["matchExpressions"];
        *selection = selection.as_array().into_iter().flatten().cloned().chain([one_of(levels)]).collect();
        binding
    };
    let bindings = if resources == &json!(["pods/binding", "bindings"]) {
        // A scheduler would only write warnings to its log.
        vec![binding("audit", &unenforced(settings), &["Audit"])]
    } else {
        vec![binding("audit", &settings.audit, &["Audit"]), binding("warn", &settings.warn, &["Warn", "Audit"])]
    };
    [vec![copy], bindings].concat()
}

/// Selects what has one of these levels.
fn one_of(levels: &BTreeSet<String>) -> Value {
    json!({"key": SENSITIVITY, "operator": "In", "values": names(levels, NO_LEVEL)})
}

fn leaves_levels_out(policy: &Value, selector: &str) -> bool {
    expressions(&policy["spec"]["matchConstraints"][selector]).any(leaves_out)
}

fn leaves_out(expression: &Value) -> bool {
    expression["key"] == SENSITIVITY && expression["operator"] == "NotIn"
}

/// Takes away what is about levels of which there are none: every request would pay for it. What comes back with the first such level only reports
/// or withholds tokens, and is not relied on before it was seen in use.
pub(super) fn leave_out_what_selects_nothing(objects: &mut Vec<AdmissionObject>) {
    for (part, selector) in SELECTORS {
        let place = format!("/spec/{part}/{selector}");
        let names_nothing = |expression: &Value, operator: &str| {
            let mut values = expression["values"].as_array().into_iter().flatten();
            expression["operator"] == operator && values.all(|value| value == NO_LEVEL || value == NONE_WITHHELD)
        };
        let selects = |selector: &Value| expressions(selector).all(|expression| !names_nothing(expression, "In"));
        objects.retain(|object| object.object.pointer(&place).is_none_or(selects));
        for selector in objects.iter_mut().filter_map(|object| object.object.pointer_mut(&place)) {
            let kept: Vec<_> = expressions(selector).filter(|expression| !names_nothing(expression, "NotIn")).cloned().collect();
            if kept.len() < expressions(selector).count() {
                // An empty list is stored as none.
                *selector = if kept.is_empty() { json!({}) } else { json!({"matchExpressions": kept}) };
            }
        }
    }
    let bound =
        |object: &AdmissionObject| (object.kind.policy(), object.object["spec"]["policyName"].as_str().unwrap_or(&object.name).to_owned());
    let of = |policies: bool| objects.iter().filter(|object| object.kind.is_policy() == policies).map(bound).collect::<BTreeSet<_>>();
    let whole = &of(true) & &of(false);
    objects.retain(|object| whole.contains(&bound(object)));
}

const SELECTORS: [(&str, &str); 4] = [
    ("matchConstraints", "namespaceSelector"),
    ("matchConstraints", "objectSelector"),
    ("matchResources", "namespaceSelector"),
    ("matchResources", "objectSelector"),
];

fn expressions(selector: &Value) -> impl Iterator<Item = &Value> {
    selector["matchExpressions"].as_array().into_iter().flatten()
}

/// Well-known annotation for people.
pub(super) const DESCRIPTION: &str = "kubernetes.io/description";
