//! Bad input is refused with a message that says what to write, or gets a condition that does, and moves nothing else.

use serde_json::{Value, json};

use super::world::{World, condition, interne, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, expect_refused, try_apply, wait_until};

/// Two clouds, two levels, a node of each cloud and a namespace: what bad input must not move.
pub async fn settled(name: &str) -> (World, Value) {
    let world = World::guarded(name).await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    apply(&world.admin, &[node("snc-1", "snc"), node("aws-1", "aws"), namespace("secret", Some("restreint"))]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("aws", "interne", true).await;
    let clearance = wait_until("the Clearance knows all of it", async || {
        let found = essence(&world).await;
        if found["clouds"] == json!({"aws": ["interne"], "snc": ["interne", "restreint"], "rempart-canary": ["rempart-canary"]})
            && found["namespaces"]["secret"] == "restreint"
        {
            Ok(found)
        } else {
            Err(found)
        }
    })
    .await;
    (world, clearance)
}

/// The Clearance without what changes with every write of it: the dates, and the node of the probe.
pub async fn essence(world: &World) -> Value {
    let mut clearance = world.clearance().await;
    for level in clearance["levels"].as_object_mut().into_iter().flatten() {
        level.1.as_object_mut().unwrap().remove("notAfter");
    }
    if let Some(nodes) = clearance["nodes"].as_object_mut() {
        nodes.retain(|node, _| !node.starts_with("epoch-"));
    }
    clearance
}

/// The Clearance without the levels `names`. Clouds, nodes and namespaces stay: what is bad must not be among them.
pub async fn essence_without(world: &World, names: &[&str]) -> Value {
    let mut clearance = essence(world).await;
    clearance["levels"].as_object_mut().unwrap().retain(|level, _| !names.contains(&level.as_str()));
    clearance
}

/// The neighbours are accepted, cleared and satisfied as before, and their pods are let in.
pub async fn assert_neighbours_keep_working(world: &World, why: &str) {
    for (path, clears) in [("trustedclouds/snc", json!(["interne", "restreint"])), ("trustedclouds/aws", json!(["interne"]))] {
        let cloud = world.wait_condition(path, "Ready", "True", "").await;
        assert_eq!(cloud["status"]["clears"], clears, "{path} with {why}");
    }
    for path in ["sensitivitylevels/restreint", "sensitivitylevels/interne"] {
        let level = world.wait_condition(path, "Ready", "True", "").await;
        assert_eq!(condition(&level, "Satisfiable")["status"], "True", "{path} with {why}");
    }
    world.create_pod("secret", &json!({"metadata": {"generateName": "still-"}, "spec": pod("x")["spec"]})).await.accepted().expect(why);
}

fn cloud(edit: Value) -> Value {
    merged(qualified_cloud("bad"), edit)
}

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

fn spec(edit: Value) -> Value {
    merged(level("bad", json!({}), json!({})), json!({"spec": edit}))
}

fn declaration(spec: Value) -> Value {
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
}

fn clearance(name: &str, not_after: &str) -> Value {
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": name}, "spec": {"levels": {"l": {"notAfter": not_after}}}})
}

/// What is wrong, the object, and what the API server must say.
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
    for (what, object, expected) in refused_clouds().into_iter().chain(refused_levels()).chain(refused_declarations_and_clearances()) {
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
        spec(json!({"unattendedFor": "720h"})),
    ] {
        try_apply(&world.admin, &object).await.unwrap();
    }
}

/// Objects that only the operator can see to be wrong, which of them must say so, and the field and remedy that it must name.
struct Stalled {
    what: &'static str,
    objects: Vec<Value>,
    said: Vec<(&'static str, &'static str)>,
}

fn stalled_clouds() -> Vec<Stalled> {
    let one = |what, edit, said| Stalled { what, objects: vec![cloud(json!({"spec": edit}))], said: vec![("trustedclouds/bad", said)] };
    let relying = |name: &str, on: &str| {
        merged(qualified_cloud(name), json!({"spec": {"nodes": null, "reliesOn": [{"cloud": on, "layer": "IaaS"}]}}))
    };
    let expression = |text: &str| json!({"nodes": [{"providerID": "kwok://bad/.*"}, {"providerID": text}]});
    let too_large = "spec.nodes[1].providerID: the expression is too large: write a regular expression for the whole provider ID";
    vec![
        one(
            "a country that is none",
            json!({"operator": {"registeredOffice": "XX"}}),
            r#"spec.operator.registeredOffice: "XX" is not a country: write a code of ISO 3166-1 alpha-2, such as FR"#,
        ),
        one(
            "a country by its habitual name",
            json!({"locations": {"storage": ["FR", "UK"]}}),
            r#"spec.locations.storage[1]: "UK" is not a country: write GB"#,
        ),
        one("a time zone that is none", json!({"timeZone": "Europe/Pariss"}), "did you mean Europe/Paris?): write an IANA name"),
        one(
            "an expression that does not compile",
            expression("kwok://(bad/.*"),
            "spec.nodes[1].providerID: unclosed group: write a regular expression",
        ),
        one("an expression with look-ahead", expression("(?=kwok).*"), "without look-around or back-references"),
        one("an expression that explodes", expression("((((a{99}){99}){99}){99}){99}"), too_large),
        one("an expression of many large classes", expression(&r"\pL{999}".repeat(60)), too_large),
        one(
            "a selector with an operator that is none",
            json!({"nodes": [{"selector": {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}}]}),
            "use the operators In, NotIn, Exists or DoesNotExist",
        ),
        one(
            "a part larger than the whole",
            json!({"operator": {"nonEuropeanOwnership": {"largestPercent": "30", "totalPercent": "20"}}}),
            "spec.operator.nonEuropeanOwnership.totalPercent: the largest holder (30%) cannot hold more than all of them together (20%)",
        ),
        one(
            "a layer that is not there",
            json!({"reliesOn": [{"cloud": "sncc", "layer": "IaaS"}]}),
            "spec.reliesOn[0].cloud: there is no TrustedCloud sncc (did you mean snc?): create it, or correct the name",
        ),
        Stalled {
            what: "clouds in a circle",
            objects: vec![relying("a", "b"), relying("b", "a"), relying("bad", "bad")],
            said: vec![
                ("trustedclouds/a", "spec.reliesOn: clouds cannot rely on each other in a circle (a -> b -> a): remove one of the steps"),
                ("trustedclouds/b", "(b -> a -> b): remove one of the steps"),
                ("trustedclouds/bad", "(bad -> bad): remove one of the steps"),
            ],
        },
    ]
}

fn stalled_levels() -> Vec<Stalled> {
    let one = |what, edit, said| Stalled { what, objects: vec![spec(edit)], said: vec![("sensitivitylevels/bad", said)] };
    let extending = |name: &str, other: &str| level(name, json!({}), json!({"extends": [other]}));
    vec![
        one(
            "a level that is not there",
            json!({"extends": ["interne", "restrient"]}),
            "spec.extends[1]: there is no SensitivityLevel restrient (did you mean restreint?): create it, or correct the name",
        ),
        one(
            "a place that is none",
            json!({"requires": {"operator": {"seatsIn": ["EU", "XX"]}}}),
            r#"spec.requires.operator.seatsIn[1]: "XX" is not a country: write a code of ISO 3166-1 alpha-2, such as FR, EU or EEA"#,
        ),
        Stalled {
            what: "levels in a circle",
            objects: vec![extending("a", "b"), extending("b", "a"), extending("bad", "bad")],
            said: vec![
                ("sensitivitylevels/a", "spec.extends: levels cannot extend each other in a circle (a -> b -> a): remove one of the steps"),
                ("sensitivitylevels/b", "(b -> a -> b): remove one of the steps"),
                ("sensitivitylevels/bad", "(bad -> bad): remove one of the steps"),
            ],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_operator_can_see_gets_a_condition_and_moves_nothing_else() {
    let (world, before) = settled("input-stalled").await;
    apply(&world.admin, &[node("bad-1", "bad")]).await;
    for Stalled { what, objects, said } in stalled_clouds().into_iter().chain(stalled_levels()) {
        apply(&world.admin, &objects).await;
        for (path, text) in &said {
            let object = world.wait_condition(path, "Ready", "False", text).await;
            let stalled = condition(&object, "Stalled");
            assert_eq!((&stalled["status"], &stalled["reason"]), (&"True".into(), &"InvalidSpec".into()), "{what}");
            assert_eq!(stalled["message"], condition(&object, "Ready")["message"], "{what}");
            assert!(condition(&object, "Reconciling").is_null(), "{what}");
        }
        assert_eq!(essence_without(&world, &["a", "b", "bad"]).await, before, "{what}");
        assert_neighbours_keep_working(&world, what).await;
        for (path, _) in &said {
            world.delete(&format!("/apis/rempart.dev/v1alpha1/{path}")).await;
        }
        wait_until(&format!("{what} is gone without a trace"), async || {
            let found = essence(&world).await;
            if found == before { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_no_cloud_can_satisfy_says_why_and_moves_nothing_else() {
    let (world, before) = settled("input-unsatisfiable").await;
    let impossible = level("impossible", json!({"locations": {"storage": ["US"]}}), json!({"extends": ["interne"]}));
    let demanding = level(
        "demanding",
        json!({"qualifications": [{"allOf": [{"scheme": "secnumcloud", "minimumVersion": "3.2"}]}], "keyCustody": "ExternalKms"}),
        json!({}),
    );
    apply(&world.admin, &[impossible, demanding]).await;
    let contradiction = "Contradictory: spec.requires.locations.storage: no country will do for locations.storage: impossible requires US, \
                         interne requires EEA; widen one of them";
    for (path, text) in [
        ("sensitivitylevels/impossible", contradiction),
        (
            "sensitivitylevels/demanding",
            "NoEligibleCloud: no trusted cloud satisfies it; closest is snc, which lacks keyCustody (found unknown, required ExternalKms)",
        ),
    ] {
        let level = world.wait_condition(path, "Satisfiable", "False", text).await;
        // Nothing is wrong with their form: they are accepted, and hold.
        assert_eq!(condition(&level, "Ready")["status"], "True");
        assert!(condition(&level, "Stalled").is_null());
    }
    assert_eq!(essence_without(&world, &["impossible", "demanding"]).await, before);
    assert_neighbours_keep_working(&world, "levels that no cloud satisfies").await;
    apply(&world.admin, &[namespace("never", Some("demanding"))]).await;
    let waiting = wait_until("the level is known", async || world.create_pod("never", &pod("waits")).await.accepted()).await;
    assert_eq!(waiting["spec"]["nodeSelector"]["rempart.node-restriction.kubernetes.io/demanding"], "cleared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_of_a_level_that_does_not_exist_refuses_pods_until_it_does() {
    let (world, before) = settled("input-unknown-level").await;
    apply(&world.admin, &[namespace("emr", None)]).await;
    let declared = merged(
        declaration(json!({"level": "restrient", "workloads": {"matchLabels": {"app": "ledger"}}})),
        json!({"metadata": {"namespace": "emr"}}),
    );
    apply(&world.admin, &[declared]).await;
    let path = "namespaces/emr/datadeclarations/bad";
    let says = "spec.level: no sensitivity level is named restrient, so every pod concerned is refused: create it or name one of interne, restreint";
    let object = world.wait_condition(path, "Ready", "False", says).await;
    assert_eq!(condition(&object, "Stalled")["status"], "True");
    assert_eq!(condition(&object, "Enforced")["reason"], "UnknownLevel");

    let selected = merged(pod("selected"), json!({"metadata": {"labels": {"app": "ledger"}}}));
    expect_refused(&world.create_pod("emr", &selected).await, "no sensitivity level has this name: use one of interne, restreint");
    world.create_pod("emr", &pod("other")).await.accepted().unwrap();
    assert_eq!(essence(&world).await, before);
    assert_neighbours_keep_working(&world, "a declaration of an unknown level").await;

    apply(&world.admin, &[level("restrient", json!({}), json!({}))]).await;
    let object = world.wait_condition(path, "Ready", "True", "the pods selected have level restrient").await;
    assert!(condition(&object, "Stalled").is_null());
    wait_until("the level holds", async || world.create_pod("emr", &selected).await.accepted()).await;
}
