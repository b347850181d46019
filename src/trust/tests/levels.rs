//! Levels that extend each other.

use super::*;

const NOW: &str = "2026-11-25T00:00:00Z";

fn extending(names: &str, requires: &str) -> SensitivityLevelSpec {
    read(&format!("extends: [{names}]\nrequires: {requires}"))
}

/// What cloud `c`, of which nothing is known, lacks for the last of `levels`: all that it requires.
fn required(levels: &[(&str, SensitivityLevelSpec)]) -> Vec<String> {
    let register = register(&[("c", cloud(""))], levels);
    let last = levels.last().map_or("", |(name, _)| *name);
    assert_eq!(said(register.level_problems(last)), Vec::<String>::new());
    let standing = register.assess(instant(NOW)).clouds["c"].clone();
    standing.lacks(last).iter().map(|unmet| format!("{} {}", unmet.requirement, unmet.required)).collect()
}

#[test]
fn requirements_add_up() {
    let one = r#"{locations: {storage: [EEA], backup: [FR]}, keyCustody: ExternalKms, isolation: SharedVirtual, operator: {seatsIn: [EU]},
        nonEuropeanOwnership: {largestPercent: "24", veto: Held, maximumAge: 400d}, qualifications: [{allOf: [{scheme: hds}]}]}"#;
    let two = r#"{locations: {storage: [FR, US]}, keyCustody: CustomerManaged, isolation: DedicatedHost, operator: {parentIn: [EEA]},
        nonEuropeanOwnership: {largestPercent: "30", totalPercent: "39", veto: None, maximumAge: 8760h},
        qualifications: [{allOf: [{scheme: secnumcloud, minimumVersion: "3.2"}]}, {allOf: [{scheme: on-premises}]}]}"#;
    let levels = [("one", level(one)), ("two", level(two)), ("both", extending("one, two", "{}"))];
    assert_eq!(
        required(&levels),
        [
            "qualifications hds and secnumcloud >= 3.2, or hds and on-premises",
            "operator.seatsIn EU",
            "operator.parentIn EEA",
            "locations.storage FR",
            "locations.backup FR",
            "nonEuropeanOwnership.largestPercent at most 24%",
            "nonEuropeanOwnership.totalPercent at most 39%",
            "nonEuropeanOwnership.veto None",
            "nonEuropeanOwnership.maximumAge figures at most 365d old",
            "keyCustody ExternalKms",
            "isolation DedicatedHost",
        ]
    );
}

#[test]
fn alternatives_multiply_out_to_the_weakest() {
    for (one, two, both) in [
        ("[{allOf: [{scheme: a}]}]", "[{allOf: [{scheme: a}]}]", "a"),
        // a and (a or b) is a.
        ("[{allOf: [{scheme: a}]}]", "[{allOf: [{scheme: a}]}, {allOf: [{scheme: b}]}]", "a"),
        ("[{allOf: [{scheme: a}]}, {allOf: [{scheme: b}]}]", "[{allOf: [{scheme: b}]}, {allOf: [{scheme: a}]}]", "a, or b"),
        ("[{allOf: [{scheme: a, minimumVersion: '1'}]}]", "[{allOf: [{scheme: a, minimumVersion: '2.0'}]}]", "a >= 2"),
        ("[{allOf: [{scheme: a, levels: [x]}]}]", "[{allOf: [{scheme: a, levels: [y]}]}]", "a (x) and a (y)"),
        ("[{allOf: [{scheme: a, levels: [x]}]}]", "[{allOf: [{scheme: a, levels: [y, x]}]}]", "a (x, y)"),
        ("[{allOf: [{scheme: a}]}, {allOf: [{scheme: a}, {scheme: b}]}]", "[]", "a"),
    ] {
        let of = |alternatives: &str| level(&format!("{{qualifications: {alternatives}}}"));
        let levels = [("one", of(one)), ("two", of(two)), ("both", extending("one, two", "{}"))];
        assert_eq!(required(&levels), [format!("qualifications {both}")], "{one} and {two}");
    }
}

#[test]
fn too_many_alternatives_are_a_problem_and_quickly_so() {
    let many = |prefix: char, count: usize| {
        let alternatives: Vec<String> = (0..count).map(|n| format!("{{allOf: [{{scheme: {prefix}-{n}}}]}}")).collect();
        level(&format!("{{qualifications: [{}]}}", alternatives.join(", ")))
    };
    let fine = [("one", many('a', 16)), ("two", many('b', 16)), ("both", extending("one, two", "{}"))];
    assert!(register(&[], &fine).level_problems("both").is_empty());
    let message = "spec.extends: comes to more than 256 alternatives: require fewer, or extend fewer levels that have some";
    let more = [("one", many('a', 16)), ("two", many('b', 17)), ("both", extending("one, two", "{}"))];
    assert_eq!(said(register(&[], &more).level_problems("both")), [message]);
    // A level that is reached twice counts once.
    let diamond = [
        ("base", many('a', 32)),
        ("left", extending("base", "{}")),
        ("right", extending("base", "{}")),
        ("both", extending("left, right, base", "{}")),
    ];
    assert!(register(&[], &diamond).level_problems("both").is_empty());
    let names: Vec<String> = (0..16).map(|n| format!("l{n}")).collect();
    let mut explosion: Vec<(&str, SensitivityLevelSpec)> =
        names.iter().zip('a'..).map(|(name, prefix)| (name.as_str(), many(prefix, 32))).collect();
    explosion.push(("all", extending(&names.join(", "), "{}")));
    assert_eq!(said(register(&[], &explosion).level_problems("all")), [message]);
}

#[test]
fn opposite_places_are_a_contradiction_that_names_both_sides() {
    let levels = [
        ("interne", level("{locations: {storage: [EEA], processing: [EEA]}}")),
        ("us-only", level("{locations: {storage: [US]}}")),
        ("both", extending("interne, us-only", "{}")),
        ("own", extending("interne", "{locations: {processing: [CH, US]}}")),
        ("a", level("{operator: {parentIn: [FR, DE]}}")),
        ("b", level("{operator: {parentIn: [DE, IT]}}")),
        ("c", level("{operator: {parentIn: [IT, FR]}}")),
        ("three", extending("a, b, c", "{}")),
    ];
    let register = register(&[("x", cloud("locations: {storage: [FR]}"))], &levels);
    for (level, contradictions) in [
        ("interne", vec![]),
        (
            "both",
            vec!["spec.extends: no country will do for locations.storage: interne requires EEA, us-only requires US; widen one of them"],
        ),
        (
            "own",
            vec![
                "spec.requires.locations.processing: no country will do for locations.processing: interne requires EEA, own requires CH, US; widen one of them",
            ],
        ),
        (
            "three",
            vec![
                "spec.extends: no country will do for operator.parentIn: a requires DE, FR, b requires DE, IT, c requires FR, IT; widen one of them",
            ],
        ),
    ] {
        assert_eq!(said(register.contradictions(level)), contradictions, "{level}");
        assert!(register.level_problems(level).is_empty(), "a contradiction is no problem of the spec");
    }
    let found = register.assess(instant(NOW)).clouds["x"].lacks("both").to_vec();
    assert_eq!((found[0].found.as_str(), found[0].required.as_str()), ("FR", "nowhere"));
}
