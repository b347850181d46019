//! Bad input that the API server can see is refused with a message that says what to write.

use serde_json::{Value, json};

use super::input::{cloud, declaration, essence, settled, spec};
use super::world::merged;
use crate::cluster::try_apply;

fn qualification(edit: Value) -> Value {
    let whole = json!({"scheme": "secnumcloud", "version": "3.2", "validFrom": "2025-01-01", "validUntil": "2099-12-31"});
    cloud(json!({"spec": {"qualifications": [merged(whole, edit)]}}))
}

fn event(event: Value) -> Value {
    qualification(json!({"events": [event]}))
}

fn named(mut object: Value, name: &str) -> Value {
    object["metadata"]["name"] = name.into();
    object
}

fn stored(classes: Value) -> Value {
    cloud(json!({"spec": {"storage": classes}}))
}

fn clearance(name: &str, not_after: &str) -> Value {
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": name}, "spec": {"levels": {"l": {"notAfter": not_after}}}})
}

fn refused_clouds() -> Vec<(&'static str, Value, &'static str)> {
    let long = "a".repeat(64);
    let stakes = |percent: &str| cloud(json!({"spec": {"operator": {"nonEuropeanOwnership": {"largestPercent": percent}}}}));
    let nodes = |entry: Value| cloud(json!({"spec": {"nodes": [entry]}}));
    let at = "2026-12-01T00:00:00Z";
    vec![
        ("a day that does not exist", qualification(json!({"validUntil": "2027-02-30"})), "spec.qualifications[0].validUntil"),
        ("another way to write dates", qualification(json!({"validFrom": "01/02/2026"})), "must be of type date"),
        (
            "dates the wrong way round",
            qualification(json!({"validFrom": "2099-12-31", "validUntil": "2025-01-01"})),
            "validUntil lies before validFrom: copy both dates from the decision",
        ),
        (
            "no dates and no milestone",
            qualification(json!({"validFrom": null, "validUntil": null})),
            "validFrom and validUntil are required: copy them from the decision, or set milestone",
        ),
        ("no end and no milestone", qualification(json!({"validUntil": null})), "validFrom and validUntil are required"),
        ("a milestone that is none", qualification(json!({"milestone": "J3"})), r#"supported values: "J0", "J1", "J2""#),
        ("a decision that covers nothing", qualification(json!({"covers": {"models": []}})), "should have at least 1 items"),
        ("a scheme in capitals", qualification(json!({"scheme": "SecNumCloud"})), "spec.qualifications[0].scheme"),
        (
            "a digest of the wrong length",
            qualification(json!({"document": {"uri": "https://d", "sha256": "abc"}})),
            "should match '^[0-9a-f]{64}$'",
        ),
        ("an event without instant", event(json!({"type": "Suspended"})), "events[0].effectiveAt: Required value"),
        ("an instant without time", event(json!({"type": "Suspended", "effectiveAt": "2026-12-01"})), "must be of type date-time"),
        (
            "an event that is none",
            event(json!({"type": "Revoked", "effectiveAt": at})),
            r#"supported values: "Suspended", "Reinstated", "Withdrawn", "ScopeReduced", "Renewed""#,
        ),
        (
            "a renewal without end",
            event(json!({"type": "Renewed", "effectiveAt": at})),
            "a Renewed event needs validUntil, copied from the new decision",
        ),
        (
            "a suspension with an end",
            event(json!({"type": "Suspended", "effectiveAt": at, "validUntil": "2030-01-01"})),
            "validUntil belongs to a Renewed event: remove it",
        ),
        (
            "a suspension with a scope",
            event(json!({"type": "Suspended", "effectiveAt": at, "covers": {"models": ["IaaS"]}})),
            "covers belongs to a ScopeReduced event: remove it",
        ),
        ("more than all", stakes("101"), "spec.operator.nonEuropeanOwnership.largestPercent"),
        ("more than all by a little", stakes("100.1"), "should match '^(100"),
        ("less than nothing", stakes("-1"), "should match '^(100"),
        ("a decimal comma", stakes("39,5"), "should match '^(100"),
        ("a sign", stakes("39%"), "should match '^(100"),
        ("a country in words", cloud(json!({"spec": {"operator": {"registeredOffice": "France"}}})), "spec.operator.registeredOffice"),
        ("a country in small letters", cloud(json!({"spec": {"locations": {"storage": ["fr"]}}})), "should match '^[A-Z]{2}$'"),
        (
            "an entry that matches all nodes",
            nodes(json!({})),
            "an entry needs providerID, selector or both: an empty one would match every node",
        ),
        ("a selector that matches all nodes", nodes(json!({"selector": {}})), "an empty selector would match every node: name a label"),
        (
            "a selector with empty lists",
            nodes(json!({"selector": {"matchLabels": {}, "matchExpressions": []}})),
            "an empty selector would match every node: name a label",
        ),
        (
            "an empty selector beside a providerID",
            nodes(json!({"providerID": "kwok://x/.*", "selector": {}})),
            "an empty selector would match every node: name a label",
        ),
        ("an empty regular expression", nodes(json!({"providerID": ""})), "should be at least 1 chars long"),
        ("a regular expression that is too long", nodes(json!({"providerID": "a".repeat(513)})), "may not be more than 512"),
        (
            "a model that is none",
            cloud(json!({"spec": {"offering": {"model": "FaaS"}}})),
            r#"supported values: "IaaS", "CaaS", "PaaS", "SaaS", "OnPremises""#,
        ),
        ("no offering", cloud(json!({"spec": {"offering": null}})), "spec.offering: Required value"),
        (
            "a custody that is none",
            cloud(json!({"spec": {"keyCustody": "Somebody"}})),
            r#"supported values: "ProviderManaged", "CustomerManaged", "ExternalKms", "HoldYourOwnKey", "ClientSide""#,
        ),
        (
            "an isolation that is none",
            cloud(json!({"spec": {"isolation": "Total"}})),
            r#"supported values: "SharedVirtual", "DedicatedHost", "DedicatedZone""#,
        ),
        ("a layer without name", cloud(json!({"spec": {"reliesOn": [{"layer": "IaaS"}]}})), "spec.reliesOn[0].cloud: Required value"),
        ("no length of time", cloud(json!({"spec": {"warnBefore": "0d"}})), "should match '^[1-9][0-9]{0,4}(m|h|d)$'"),
        ("weeks", cloud(json!({"spec": {"registerMaxAge": "5w"}})), "should match '^[1-9][0-9]{0,4}(m|h|d)$'"),
        (
            "a name too long for a label",
            named(cloud(json!({})), &long),
            "the name of a trusted cloud becomes the value of a label: lower-case letters, digits and '-', at most 63",
        ),
        ("a name with a dot", named(cloud(json!({})), "a.b"), "the name of a trusted cloud becomes the value of a label"),
        ("a reserved name", named(cloud(json!({})), "rempart-x"), "names that start with rempart are reserved: choose another name"),
    ]
}

fn refused_storage() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("a driver with a carriage return", stored(json!([{"name": "fast", "provisioner": "a\rb"}])), "spec.storage[0].provisioner"),
        ("a driver with two prefixes", stored(json!([{"name": "fast", "provisioner": "a/b/c"}])), "spec.storage[0].provisioner"),
        (
            "a driver of snapshots with a quote",
            cloud(json!({"spec": {"snapshots": [{"driver": "disk'", "classes": ["snap"]}]}})),
            "spec.snapshots[0].driver",
        ),
        (
            "a driver of attributes with a line feed",
            cloud(json!({"spec": {"volumeAttributes": [{"driver": "disk\n", "classes": ["gold"]}]}})),
            "spec.volumeAttributes[0].driver",
        ),
    ]
}

fn refused_levels() -> Vec<(&'static str, Value, &'static str)> {
    let whole = spec(json!({}));
    let attended = |text: &str| spec(json!({"unattendedFor": text}));
    let requires = |requires: Value| spec(json!({"requires": requires}));
    vec![
        (
            "the name of a label of ours",
            named(whole.clone(), "cloud"),
            "'cloud' and names that start with rempart are reserved: choose another name",
        ),
        ("a reserved name", named(whole.clone(), "rempart-x"), "names that start with rempart are reserved"),
        ("capitals", named(whole.clone(), "Restreint"), "lowercase RFC 1123"),
        (
            "a name with a dot",
            named(whole.clone(), "a.b"),
            "the name of a level becomes part of a label key: lower-case letters, digits and '-', at most 63",
        ),
        ("a name too long for a label", named(whole, &"a".repeat(64)), "the name of a level becomes part of a label key"),
        ("no time at all", attended("0m"), "should match '^[1-9][0-9]{0,4}(m|h|d)$'"),
        ("seconds", attended("90s"), "should match '^[1-9][0-9]{0,4}(m|h|d)$'"),
        ("more than a month in days", attended("31d"), "unattendedFor is at most 30d"),
        ("more than a month in hours", attended("721h"), "unattendedFor is at most 30d"),
        ("more than a month in minutes", attended("43201m"), "unattendedFor is at most 30d"),
        ("an enforcement that is none", spec(json!({"enforcement": "Deny"})), r#"supported values: "Audit", "Warn", "Enforce""#),
        ("a consequence that is not there yet", spec(json!({"onTrustLoss": "Drain"})), r#"supported values: "Report", "Block""#),
        ("an alternative of nothing", requires(json!({"qualifications": [{"allOf": []}]})), "should have at least 1 items"),
        ("a continent", requires(json!({"locations": {"storage": ["EUROPE"]}})), "spec.requires.locations.storage[0]"),
        ("a percentage out of range", requires(json!({"nonEuropeanOwnership": {"totalPercent": "240"}})), "should match '^(100"),
        (
            "an age without unit",
            requires(json!({"nonEuropeanOwnership": {"maximumAge": "365"}})),
            "should match '^[1-9][0-9]{0,4}(m|h|d)$'",
        ),
        ("a level in capitals", spec(json!({"extends": ["Interne"]})), "spec.extends[0]"),
        ("a scheduler with a carriage return", spec(json!({"schedulers": ["a\rb"]})), "spec.schedulers[0]"),
    ]
}

fn refused_declarations_and_clearances() -> Vec<(&'static str, Value, &'static str)> {
    let labelled = |labels: Value| declaration(json!({"level": "interne", "workloads": {"matchLabels": labels}}));
    vec![
        (
            "workloads that select nothing in particular",
            declaration(json!({"level": "interne", "workloads": {}})),
            "spec.workloads.matchLabels: Required value",
        ),
        ("labels that select every pod", labelled(json!({})), "spec.workloads.matchLabels in body should have at least 1 properties"),
        (
            "the level as a selector",
            labelled(json!({"rempart.dev/sensitivity": "interne"})),
            "workloads are selected by labels of yours, not by rempart.dev/sensitivity",
        ),
        ("a value too long for a label", labelled(json!({"app": "a".repeat(64)})), "may not be more than 63"),
        ("no level", declaration(json!({})), "spec.level: Required value"),
        ("an empty level", declaration(json!({"level": ""})), "spec.level"),
        ("two words", declaration(json!({"level": "a b"})), "should match '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'"),
        ("a level in capitals", declaration(json!({"level": "Interne"})), "should match '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'"),
        ("300 letters", declaration(json!({"level": "a".repeat(300)})), "may not be more than 63"),
        (
            "the level of the probe",
            declaration(json!({"level": "rempart-canary"})),
            "names that start with rempart are reserved: name a sensitivity level of yours",
        ),
        ("a review that never comes", declaration(json!({"level": "interne", "reviewBy": "2027-13-01"})), "spec.reviewBy"),
        ("a second Clearance", clearance("other", "2026-12-01T00:00:00Z"), "there is one Clearance, named cluster"),
        ("a fraction of a second", clearance("cluster", "2026-12-01T00:00:00.5Z"), "notAfter"),
        ("an offset", clearance("cluster", "2026-12-01T01:00:00+01:00"), r"should match '^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$'"),
        ("an hour that does not exist", clearance("cluster", "2026-12-01T25:00:00Z"), "must be of type date-time"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_can_see_is_refused_and_says_what_to_write() {
    let (world, before) = settled("input-refused").await;
    let mut wrong = Vec::new();
    for (what, object, expected) in
        refused_clouds().into_iter().chain(refused_storage()).chain(refused_levels()).chain(refused_declarations_and_clearances())
    {
        match try_apply(&world.admin, &object).await {
            Ok(_) => wrong.push(format!("{what} is accepted: {}", object["spec"])),
            Err(error) if !error.to_string().contains(expected) => wrong.push(format!("{what}: not {expected:?} but {error}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(essence(&world).await, before);
    // The same objects without what is wrong with them are accepted.
    for object in [
        cloud(json!({})),
        qualification(json!({"validFrom": null, "validUntil": null, "milestone": "J2"})),
        spec(json!({"unattendedFor": "720h", "schedulers": ["https://issuer.example/#Ümit O'Neil"]})),
        stored(
            json!([{"name": "fast", "provisioner": "Disk_1.csi.example.com"}, {"name": "slow", "provisioner": "cluster.local/nfs-subdir"}]),
        ),
    ] {
        try_apply(&world.admin, &object).await.unwrap();
    }
}
