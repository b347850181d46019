//! How Flux and Helm judge an object of a kind that they do not know: the rules that kstatus documents
//! (kubernetes-sigs/cli-utils, `pkg/kstatus`), in our own words. The integration tests hold them against the original.

use serde_json::Value;

/// Where an object stands.
pub(crate) fn standing(object: &Value) -> &'static str {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    if metadata["deletionTimestamp"].is_string() {
        return "Terminating";
    }
    // Who has not looked at the spec says nothing about it. An object without the field is judged by the rest.
    let (wanted, observed) = (&metadata["generation"], &status["observedGeneration"]);
    if wanted.is_number() && observed.is_number() && wanted != observed {
        return "InProgress";
    }
    // Both are there only while they are true, and the first of them counts.
    for condition in conditions().filter(|condition| condition["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return "InProgress",
            Some("Stalled") => return "Failed",
            _ => {}
        }
    }
    // No other condition matters: neither compliance nor anything else that goes wrong later holds up a sync.
    match conditions().find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => "InProgress",
        _ => "Current",
    }
}
