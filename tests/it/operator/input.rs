//! Bad input that only the operator can see gets a condition that says what to write, and moves nothing else.

use serde_json::{Value, json};

use super::world::{World, condition, interne, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, expect_refused, wait_until};

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

pub fn cloud(edit: Value) -> Value {
    merged(qualified_cloud("bad"), edit)
}

pub fn spec(edit: Value) -> Value {
    merged(level("bad", json!({}), json!({})), json!({"spec": edit}))
}

pub fn declaration(spec: Value) -> Value {
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
}

/// What is wrong, the object, and what the API server must say.
/// Objects that only the operator can see to be wrong, which of them must say so, and the field and remedy that it must name.
struct Faulty {
    what: &'static str,
    objects: Vec<Value>,
    said: Vec<(&'static str, &'static str)>,
}

fn stalled_clouds() -> Vec<Faulty> {
    let one = |what, edit, said| Faulty { what, objects: vec![cloud(json!({"spec": edit}))], said: vec![("trustedclouds/bad", said)] };
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
        Faulty {
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

fn stalled_levels() -> Vec<Faulty> {
    let one = |what, edit, said| Faulty { what, objects: vec![spec(edit)], said: vec![("sensitivitylevels/bad", said)] };
    let extending = |name: &str, other: &str| level(name, json!({}), json!({"extends": [other]}));
    vec![
        one(
            "a place that is none",
            json!({"requires": {"operator": {"seatsIn": ["EU", "XX"]}}}),
            r#"spec.requires.operator.seatsIn[1]: "XX" is not a country: write a code of ISO 3166-1 alpha-2, such as FR, EU or EEA"#,
        ),
        Faulty {
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

/// What the object that is named mends as well.
fn unresolved() -> Vec<Faulty> {
    let extending = |name: &str, other: &str| level(name, json!({}), json!({"extends": [other]}));
    vec![
        Faulty {
            what: "a layer that is not there",
            objects: vec![cloud(json!({"spec": {"reliesOn": [{"cloud": "sncc", "layer": "IaaS"}]}}))],
            said: vec![(
                "trustedclouds/bad",
                "spec.reliesOn[0].cloud: there is no TrustedCloud sncc (did you mean snc?): create it, or correct the name",
            )],
        },
        Faulty {
            what: "a level that is not there, and a level above it",
            objects: vec![spec(json!({"extends": ["interne", "restrient"]})), extending("a", "bad")],
            said: vec![
                (
                    "sensitivitylevels/bad",
                    "spec.extends[1]: there is no SensitivityLevel restrient (did you mean restreint?): create it, or correct the name",
                ),
                ("sensitivitylevels/a", "spec.extends[0]: bad has problems, so what it requires is not known: correct bad"),
            ],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_operator_can_see_gets_a_condition_and_moves_nothing_else() {
    let (world, before) = settled("input-stalled").await;
    apply(&world.admin, &[node("bad-1", "bad")]).await;
    let stalled = stalled_clouds().into_iter().chain(stalled_levels()).map(|faulty| (faulty, ["Stalled", "InvalidSpec", "Reconciling"]));
    let unresolved = unresolved().into_iter().map(|faulty| (faulty, ["Reconciling", "UnresolvedReference", "Stalled"]));
    for (Faulty { what, objects, said }, [present, reason, absent]) in stalled.chain(unresolved) {
        apply(&world.admin, &objects).await;
        for (path, text) in &said {
            let object = world.wait_condition(path, "Ready", "False", text).await;
            let companion = condition(&object, present);
            assert_eq!((&companion["status"], &companion["reason"]), (&"True".into(), &reason.into()), "{what}");
            assert_eq!(companion["message"], condition(&object, "Ready")["message"], "{what}");
            assert!(condition(&object, absent).is_null(), "{what}");
            let consequence = condition(&object, if path.starts_with("trustedclouds") { "Qualified" } else { "Satisfiable" });
            assert_eq!((&consequence["status"], &consequence["reason"]), (&"Unknown".into(), &reason.into()), "{what}");
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
    assert_eq!(condition(&object, "Reconciling")["reason"], "UnresolvedReference");
    assert_eq!(condition(&object, "Enforced")["reason"], "UnknownLevel");

    let selected = merged(pod("selected"), json!({"metadata": {"labels": {"app": "ledger"}}}));
    expect_refused(&world.create_pod("emr", &selected).await, "no sensitivity level has this name: use one of interne, restreint");
    world.create_pod("emr", &pod("other")).await.accepted().unwrap();
    assert_eq!(essence(&world).await, before);
    assert_neighbours_keep_working(&world, "a declaration of an unknown level").await;

    apply(&world.admin, &[level("restrient", json!({}), json!({}))]).await;
    let object = world.wait_condition(path, "Ready", "True", "the pods selected have level restrient").await;
    assert!(condition(&object, "Reconciling").is_null());
    wait_until("the level holds", async || world.create_pod("emr", &selected).await.accepted()).await;
}
