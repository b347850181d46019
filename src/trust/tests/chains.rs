//! Trust follows `reliesOn`.

use super::*;

const NOW: &str = "2026-11-25T00:00:00Z";
const SNC: &str = r#"{scheme: secnumcloud, version: "3.2", validFrom: "2025-01-01", validUntil: "2028-12-31"}"#;
const ENDING: &str = r#"{scheme: secnumcloud, version: "3.1", validFrom: "2025-01-01", validUntil: "2027-06-30"}"#;
const HDS: &str = r#"{scheme: hds, version: "2", validFrom: "2025-01-01", validUntil: "2028-12-31"}"#;

fn on(layers: &[&str], qualifications: &str) -> TrustedCloudSpec {
    let layers: Vec<String> = layers.iter().map(|layer| format!("{{cloud: {layer}, layer: IaaS}}")).collect();
    cloud(&format!("reliesOn: [{}]\nqualifications: [{qualifications}]", layers.join(", ")))
}

#[test]
fn a_qualification_needs_the_same_scheme_in_every_layer_below() {
    let suspended = SNC.replace('}', r#", events: [{type: Suspended, effectiveAt: "2026-11-01T00:00:00Z"}]}"#);
    for (layers, words) in [
        (vec![("a", on(&[], SNC))], "Valid until 2028-12-31"),
        // Another version, another end: its own requirements are for the level to state.
        (vec![("a", on(&[], ENDING))], "Valid until 2028-12-31"),
        (vec![("a", on(&[], HDS))], "Broken: a below holds no valid secnumcloud"),
        (vec![("a", on(&[], &suspended))], "Broken: a below holds no valid secnumcloud"),
        (vec![("a", on(&[], SNC)), ("b", on(&[], ""))], "Broken: b below holds no valid secnumcloud"),
        (vec![("a", on(&["deep"], SNC)), ("deep", on(&[], SNC))], "Valid until 2028-12-31"),
        (vec![("a", on(&["deep"], SNC)), ("deep", on(&[], HDS))], "Broken: a below holds no valid secnumcloud"),
        // A layer with problems holds nothing.
        (vec![("a", cloud(&format!("timeZone: Mars\nqualifications: [{SNC}]")))], "Broken: a below holds no valid secnumcloud"),
    ] {
        let direct: Vec<&str> = layers.iter().map(|(name, _)| *name).filter(|name| *name != "deep").collect();
        let mut clouds = vec![("c", on(&direct, SNC))];
        clouds.extend(layers.iter().cloned());
        assert_eq!(standing(&clouds, NOW).qualifications[0].words, words, "{layers:?}");
    }
}

#[test]
fn a_service_is_worth_the_version_of_its_oldest_layer() {
    let asks = |minimum: &str| level(&format!("{{qualifications: [{{allOf: [{{scheme: secnumcloud, minimumVersion: \"{minimum}\"}}]}}]}}"));
    let levels = [("old", asks("3.1")), ("new", asks("3.2"))];
    let clouds = [("c", on(&["a"], SNC)), ("a", on(&["b"], SNC)), ("b", on(&[], ENDING))];
    let standing = &register(&clouds, &levels).assess(instant(NOW)).clouds["c"];
    assert!(standing.satisfies("old").is_some());
    assert_eq!(standing.lacks("new")[0].found, "secnumcloud 3.2; b (relied on): secnumcloud 3.1");

    // A newer qualification of the layer comes into force: the answer turns at that instant, which is known beforehand.
    let newer = SNC.replace("2025-01-01", "2026-12-01");
    let clouds = [("c", on(&["a"], SNC)), ("a", on(&["b"], SNC)), ("b", on(&[], &format!("{ENDING}, {newer}")))];
    let register = register(&clouds, &levels);
    let turn = instant("2026-11-30T23:00:00Z");
    assert_eq!(register.assess(instant(NOW)).clouds["c"].next_change, Some(turn));
    assert!(register.assess(turn).clouds["c"].satisfies("new").is_some());
}

#[test]
fn the_end_of_a_layer_is_an_end() {
    let clouds = [("c", on(&["a"], SNC)), ("a", on(&["b"], SNC)), ("b", on(&[], ENDING))];
    let register = register(&clouds, &[("l", level("{qualifications: [{allOf: [{scheme: secnumcloud}]}]}"))]);
    let standing = &register.assess(instant(NOW)).clouds["c"];
    let end = Some(instant("2027-06-30T22:00:00Z"));
    assert_eq!(standing.satisfies("l").map(|satisfied| satisfied.until), Some(end));
    assert_eq!(standing.qualifications[0].until, end);
    assert_eq!(standing.next_change, end);
}

#[test]
fn a_french_service_on_a_foreign_cloud_does_not_pass() {
    let french = r#"
locations: {storage: [FR], administration: [FR]}
operator: {legalName: x, registeredOffice: FR, centralAdministration: FR, principalEstablishment: FR, ultimateParent: {legalName: x, country: FR},
  nonEuropeanOwnership: {largestPercent: "0", totalPercent: "0", veto: None, asOf: "2026-06-30"}}"#;
    let foreign = r#"
locations: {storage: [FR, IE], administration: [US, IN]}
operator: {legalName: y, registeredOffice: LU, ultimateParent: {legalName: y, country: US},
  nonEuropeanOwnership: {largestPercent: "100", totalPercent: "100", veto: Held}}"#;
    let service = cloud(&format!("reliesOn: [{{cloud: aws-eu, layer: IaaS}}]\nkeyCustody: ExternalKms\nisolation: DedicatedHost{french}"));
    let clouds = [("c", service), ("aws-eu", cloud(foreign))];
    let requires = r#"{operator: {seatsIn: [EU], parentIn: [EEA]}, locations: {storage: [EU], administration: [EU], support: [EU]},
      nonEuropeanOwnership: {largestPercent: "24", totalPercent: "39", veto: None, maximumAge: 365d}, keyCustody: ExternalKms, isolation: DedicatedHost}"#;
    assert_eq!(
        lacks(&clouds, requires, NOW),
        [
            "operator.seatsIn: aws-eu (relied on): centralAdministration unknown, principalEstablishment unknown, not EU",
            "operator.parentIn: aws-eu (relied on): US, not EEA",
            "locations.administration: aws-eu (relied on): IN, US, not EU",
            "locations.support: unknown; aws-eu (relied on): unknown, not EU",
            "nonEuropeanOwnership.largestPercent: aws-eu (relied on): 100%, not at most 24%",
            "nonEuropeanOwnership.totalPercent: aws-eu (relied on): 100%, not at most 39%",
            "nonEuropeanOwnership.veto: aws-eu (relied on): Held, not None",
            "nonEuropeanOwnership.maximumAge: aws-eu (relied on): unknown, not figures at most 365d old",
        ]
    );
}

#[test]
fn nothing_is_known_of_a_layer_with_problems() {
    let clouds =
        [("c", cloud("reliesOn: [{cloud: a, layer: IaaS}]\nlocations: {storage: [FR]}")), ("a", cloud("locations: {storage: [XX]}"))];
    assert_eq!(lacks(&clouds, "{locations: {storage: [FR]}}", NOW), ["locations.storage: a (relied on): unknown, not FR"]);
    assert!(lacks(&clouds, "{}", NOW).is_empty(), "a level that requires nothing asks nothing of a layer either");
}

#[test]
fn the_figures_of_every_cloud_in_the_chain_grow_old() {
    let owned = |as_of: &str, more: &str| {
        cloud(&format!("operator: {{legalName: x, nonEuropeanOwnership: {{asOf: \"{as_of}\"}}}}\ntimeZone: UTC\n{more}"))
    };
    let clouds = [("c", owned("2026-06-30", "reliesOn: [{cloud: a, layer: IaaS}]")), ("a", owned("2026-01-31", ""))];
    let register = register(&clouds, &[("l", level("{nonEuropeanOwnership: {maximumAge: 365d}}")), ("free", level("{}"))]);
    let at = |now: &str| register.assess(instant(now)).clouds["c"].clone();
    let end = Some(instant("2027-02-01T00:00:00Z"));
    let before = at(NOW);
    assert_eq!(before.satisfies("l").map(|satisfied| satisfied.until), Some(end));
    assert_eq!(before.satisfies("free").map(|satisfied| satisfied.until), Some(None));
    assert_eq!(before.next_change, end);
    let after = at("2027-02-01T00:00:00Z");
    assert_eq!(after.lacks("l")[0].found, "a (relied on): 2026-01-31");
    assert_eq!(after.next_change, Some(instant("2027-07-01T00:00:00Z")), "the words change once the own figures are too old as well");
    assert_eq!(at("2026-06-29T23:59:59Z").lacks("l")[0].found, "2026-06-30", "figures of a day to come");
}
