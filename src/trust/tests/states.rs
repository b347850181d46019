//! The ten states of a qualification, the words for them, and the instants at which they change.

use super::*;

/// State in words and next change, at `now`, of the one qualification of a cloud that says `more`.
fn state(more: &str, qualification: &str, now: &str) -> (String, String) {
    let standing = standing(&[("c", cloud(&format!("{more}\nqualifications: [{{scheme: secnumcloud, {qualification}}}]")))], now);
    let only = standing.qualifications.first().unwrap_or_else(|| panic!("no qualification: {qualification}"));
    assert!(only.words.starts_with(only.state.as_str()), "{}", only.words);
    assert_eq!(only.counts, only.state.satisfies());
    assert_eq!(standing.next_change, only.until);
    (only.words.clone(), only.until.map_or_else(|| "never".to_owned(), |until| until.to_string()))
}

fn table(more: &str, qualification: &str, rows: &[(&str, &str, &str)]) {
    for (now, words, until) in rows {
        assert_eq!(state(more, qualification, now), ((*words).to_owned(), (*until).to_owned()), "{qualification} at {now}");
    }
}

const DATES: &str = r#"validFrom: "2025-05-30", validUntil: "2028-05-30""#;

#[test]
fn a_qualification_begins_is_about_to_end_and_ends() {
    table(
        "",
        DATES,
        &[
            ("2025-05-29T21:59:59.999999999Z", "NotYetValid before 2025-05-30", "2025-05-29T22:00:00Z"),
            ("2025-05-29T22:00:00Z", "Valid until 2028-05-30", "2028-03-01T22:00:00Z"),
            ("2028-03-01T22:00:00Z", "Expiring until 2028-05-30", "2028-05-30T22:00:00Z"),
            ("2028-05-30T21:59:59.999999999Z", "Expiring until 2028-05-30", "2028-05-30T22:00:00Z"),
            ("2028-05-30T22:00:00Z", "Expired after 2028-05-30", "never"),
        ],
    );
}

#[test]
fn days_are_those_of_the_time_zone_of_the_cloud() {
    for (zone, begin, end) in [
        ("UTC", "2026-03-29T00:00:00Z", "2026-10-26T00:00:00Z"),
        // Both are days on which clocks change there.
        ("Europe/Paris", "2026-03-28T23:00:00Z", "2026-10-25T23:00:00Z"),
        ("America/New_York", "2026-03-29T04:00:00Z", "2026-10-26T04:00:00Z"),
        ("Pacific/Kiritimati", "2026-03-28T10:00:00Z", "2026-10-25T10:00:00Z"),
    ] {
        let (more, dates) = (format!("timeZone: {zone}\nwarnBefore: 1m"), r#"validFrom: "2026-03-29", validUntil: "2026-10-25""#);
        assert_eq!(state(&more, dates, "2026-01-01T00:00:00Z").1, begin, "{zone}");
        assert_eq!(state(&more, dates, end).0, "Expired after 2026-10-25", "{zone}");
        let minute_before = instant(end) - jiff::SignedDuration::from_mins(1);
        assert_eq!(state(&more, dates, begin), ("Valid until 2026-10-25".to_owned(), minute_before.to_string()), "{zone}");
    }
}

#[test]
fn a_candidate_stays_one() {
    table("", "milestone: J1", &[("2026-11-25T00:00:00Z", "Candidate (J1), there is no decision", "never")]);
    let dated = format!("{DATES}, milestone: J2, events: [{{type: Withdrawn, effectiveAt: \"2026-01-01T00:00:00Z\"}}]");
    table("", &dated, &[("2026-11-25T00:00:00Z", "Candidate (J2), there is no decision", "never")]);
}

#[test]
fn the_first_state_that_applies_is_the_one() {
    // Each row adds what should win over the rows before it.
    let now = "2026-11-25T12:00:00Z";
    let rows = [
        ("", "", r#"validFrom: "2025-01-01", validUntil: "2028-01-01""#, "Valid until 2028-01-01"),
        ("", "", r#"validFrom: "2025-01-01", validUntil: "2026-12-01""#, "Expiring until 2026-12-01"),
        (
            "reliesOn: [{cloud: bare, layer: IaaS}]",
            "",
            r#"validFrom: "2025-01-01", validUntil: "2026-12-01""#,
            "Broken: bare below holds no valid secnumcloud",
        ),
        (
            "reliesOn: [{cloud: bare, layer: IaaS}]",
            "covers: {models: [SaaS]},",
            r#"validFrom: "2025-01-01", validUntil: "2026-12-01""#,
            "OutOfScope: IaaS is not covered",
        ),
        (
            "registerMaxAge: 35d",
            "covers: {models: [SaaS]},",
            r#"validFrom: "2025-01-01", validUntil: "2026-12-01""#,
            "Stale: never seen in its register",
        ),
        (
            "registerMaxAge: 35d",
            "covers: {models: [SaaS]},",
            r#"validFrom: "2025-01-01", validUntil: "2026-11-24""#,
            "Expired after 2026-11-24",
        ),
        (
            "registerMaxAge: 35d",
            "covers: {models: [SaaS]},",
            r#"validFrom: "2026-11-26", validUntil: "2026-11-26""#,
            "NotYetValid before 2026-11-26",
        ),
        (
            "",
            r#"events: [{type: Suspended, effectiveAt: "2026-11-01T00:00:00Z"}],"#,
            r#"validFrom: "2026-11-26", validUntil: "2026-11-26""#,
            "Suspended since 2026-11-01",
        ),
        (
            "",
            r#"events: [{type: Suspended, effectiveAt: "2026-11-01T00:00:00Z"}, {type: Withdrawn, effectiveAt: "2026-11-02T00:00:00Z"}],"#,
            r#"validFrom: "2026-11-26", validUntil: "2026-11-26""#,
            "Withdrawn since 2026-11-02",
        ),
        (
            "",
            r#"milestone: J0, events: [{type: Withdrawn, effectiveAt: "2026-11-02T00:00:00Z"}],"#,
            r#"validFrom: "2026-11-26", validUntil: "2026-11-26""#,
            "Candidate (J0), there is no decision",
        ),
    ];
    for (more, facts, dates, words) in rows {
        let c = cloud(&format!("{more}\nqualifications: [{{scheme: secnumcloud, {facts} {dates}}}]"));
        let standing = standing(&[("c", c), ("bare", cloud(""))], now);
        assert_eq!(standing.qualifications[0].words, words);
    }
}

#[test]
fn suspensions_come_and_go_and_a_withdrawal_is_final() {
    let events = r#"events: [
      {type: Reinstated, effectiveAt: "2026-03-01T00:00:00Z"},
      {type: Suspended, effectiveAt: "2026-01-01T00:00:00Z"},
      {type: Suspended, effectiveAt: "2026-02-01T00:00:00Z"},
      {type: Reinstated, effectiveAt: "2026-05-01T00:00:00Z"},
      {type: Suspended, effectiveAt: "2026-05-01T00:00:00Z"},
      {type: Withdrawn, effectiveAt: "2026-07-01T12:00:00Z"},
      {type: Withdrawn, effectiveAt: "2026-06-01T12:00:00Z"},
      {type: Reinstated, effectiveAt: "2026-08-01T00:00:00Z"}]"#;
    table(
        "",
        &format!("{DATES}, {events}"),
        &[
            ("2025-12-01T00:00:00Z", "Valid until 2028-05-30", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00Z", "Suspended since 2026-01-01", "2026-03-01T00:00:00Z"),
            ("2026-02-15T00:00:00Z", "Suspended since 2026-01-01", "2026-03-01T00:00:00Z"),
            ("2026-03-01T00:00:00Z", "Valid until 2028-05-30", "2026-05-01T00:00:00Z"),
            // At the same instant the suspension counts.
            ("2026-05-01T00:00:00Z", "Suspended since 2026-05-01", "2026-06-01T12:00:00Z"),
            ("2026-06-01T12:00:00Z", "Withdrawn since 2026-06-01", "never"),
            ("2026-09-01T00:00:00Z", "Withdrawn since 2026-06-01", "never"),
        ],
    );
}

#[test]
fn a_renewal_moves_the_end_once_it_is_effective() {
    let events = r#"events: [
      {type: Renewed, effectiveAt: "2028-07-01T00:00:00Z", validUntil: "2031-01-31"},
      {type: Renewed, effectiveAt: "2028-07-01T00:00:00Z", validUntil: "2031-01-30"}]"#;
    table(
        "",
        &format!("{DATES}, {events}"),
        &[
            ("2028-05-01T00:00:00Z", "Expiring until 2028-05-30", "2028-05-30T22:00:00Z"),
            ("2028-06-01T00:00:00Z", "Expired after 2028-05-30", "2028-07-01T00:00:00Z"),
            ("2028-07-01T00:00:00Z", "Valid until 2031-01-30", "2030-11-01T23:00:00Z"),
            ("2031-01-30T23:00:00Z", "Expired after 2031-01-30", "never"),
        ],
    );
    let shortened = r#"events: [{type: Renewed, effectiveAt: "2026-01-01T00:00:00Z", validUntil: "2026-06-30"}]"#;
    table("", &format!("{DATES}, {shortened}"), &[("2026-07-01T00:00:00Z", "Expired after 2026-06-30", "never")]);
}

#[test]
fn a_reduced_scope_is_the_scope_from_then_on() {
    let reduced = |covers: &str| format!("{{type: ScopeReduced, effectiveAt: \"2026-06-01T00:00:00Z\" {covers}}}");
    let still = "2028-03-01T22:00:00Z";
    for (initially, events, before, after) in [
        ("", vec![", covers: {models: [IaaS]}"], true, true),
        ("", vec![", covers: {models: [PaaS, CaaS]}"], true, false),
        // Without `covers` it is not known what is left.
        ("", vec![""], true, false),
        // At the same instant the stricter one counts.
        ("", vec![", covers: {models: [IaaS]}", ", covers: {models: [PaaS]}"], true, false),
        ("", vec![", covers: {models: [PaaS]}", ", covers: {models: [IaaS]}"], true, false),
        // What the decision never covered, a reduction does not add.
        ("covers: {models: [PaaS]},", vec![", covers: {models: [IaaS]}"], false, false),
        ("covers: {models: [PaaS, IaaS]},", vec![", covers: {models: [IaaS]}"], true, true),
    ] {
        let events: Vec<String> = events.into_iter().map(reduced).collect();
        let qualification = format!("{initially} {DATES}, events: [{}]", events.join(", "));
        let words = |covered| if covered { "Valid until 2028-05-30" } else { "OutOfScope: IaaS is not covered" };
        let (found, until) = state("", &qualification, "2026-05-31T23:59:59Z");
        assert_eq!(found, words(before), "{qualification}");
        let changes = if before != after {
            "2026-06-01T00:00:00Z"
        } else if before {
            still
        } else {
            "2028-05-30T22:00:00Z"
        };
        assert_eq!(until, changes, "{qualification}");
        assert_eq!(state("", &qualification, "2026-06-01T00:00:00Z").0, words(after), "{qualification}");
    }
    let restored = format!(
        "{DATES}, events: [{}, {{type: ScopeReduced, effectiveAt: \"2026-07-01T00:00:00Z\", covers: {{models: [IaaS]}}}}]",
        reduced(", covers: {models: [PaaS]}")
    );
    assert_eq!(state("", &restored, "2026-07-01T00:00:00Z").0, "Valid until 2028-05-30", "the latest one counts");
}

#[test]
fn what_nobody_saw_in_the_register_for_too_long_is_stale() {
    let seen = format!("{DATES}, verifiedAt: \"2026-11-15\"");
    table(
        "registerMaxAge: 35d",
        &seen,
        &[
            // A day that is yet to come was not seen.
            ("2026-11-14T22:59:59Z", "Stale: never seen in its register", "2026-11-14T23:00:00Z"),
            ("2026-11-14T23:00:00Z", "Valid until 2028-05-30", "2026-12-20T23:00:00Z"),
            ("2026-12-20T23:00:00Z", "Stale: last seen in its register on 2026-11-15", "2028-05-30T22:00:00Z"),
        ],
    );
    table("registerMaxAge: 1h", DATES, &[("2026-11-25T00:00:00Z", "Stale: never seen in its register", "2028-05-30T22:00:00Z")]);
    // By default age only shows.
    table("", &seen, &[("2027-12-25T00:00:00Z", "Valid until 2028-05-30", "2028-03-01T22:00:00Z")]);
}

#[test]
fn absurd_dates_are_no_trouble() {
    let forever = r#"validFrom: "0001-01-01", validUntil: "9999-12-31""#;
    table("warnBefore: 99999d", forever, &[("2026-11-25T00:00:00Z", "Valid until 9999-12-31", "never")]);
    let distant = r#"validFrom: "9999-12-31", validUntil: "9999-12-31""#;
    for zone in ["UTC", "Europe/Paris", "Pacific/Niue"] {
        assert_eq!(state(&format!("timeZone: {zone}"), distant, "2026-11-25T00:00:00Z").0, "NotYetValid before 9999-12-31");
    }
    let ancient = r#"validFrom: "-009999-01-01", validUntil: "-009999-01-01""#;
    table("warnBefore: 99999d", ancient, &[("2026-11-25T00:00:00Z", "Expired after -009999-01-01", "never")]);
    let seen = format!("{forever}, verifiedAt: \"9999-12-31\"");
    table("registerMaxAge: 99999d", &seen, &[("-000044-03-15T00:00:00Z", "NotYetValid before 0001-01-01", "0000-12-31T23:50:39Z")]);
}

#[test]
fn the_best_qualification_counts_and_says_most() {
    let far = r#"validFrom: "2025-01-01", validUntil: "2029-01-01""#;
    let near = r#"validFrom: "2025-01-01", validUntil: "2026-12-01""#;
    let over = r#"validFrom: "2025-01-01", validUntil: "2026-01-01""#;
    for (qualifications, best) in [
        (vec![], None),
        (vec![("iso27001", "2022", far), ("hds", "2", far)], Some("hds 2 Valid 2029-01-01T23:00:00Z")),
        (vec![("secnumcloud", "3.2", over), ("iso27001", "2022", far)], Some("iso27001 2022 Valid 2029-01-01T23:00:00Z")),
        (vec![("eucs", "1", far), ("own", "1", near)], Some("own 1 Expiring 2026-12-01T23:00:00Z")),
        (vec![("secnumcloud", "3.1", far), ("secnumcloud", "3.2", near)], Some("secnumcloud 3.2 Expiring 2026-12-01T23:00:00Z")),
        (vec![("secnumcloud", "3.2", near), ("secnumcloud", "3.2", far)], Some("secnumcloud 3.2 Valid 2029-01-01T23:00:00Z")),
        (vec![("eucs", "1", far)], Some("eucs 1 Valid never")),
    ] {
        let yaml: Vec<String> = qualifications
            .iter()
            .map(|(scheme, version, dates)| format!("{{scheme: {scheme}, version: \"{version}\", {dates}}}"))
            .collect();
        let standing = standing(&[("c", cloud(&format!("qualifications: [{}]", yaml.join(", "))))], "2026-11-25T00:00:00Z");
        let found = standing.best().map(|best| {
            let until = best.counts_until.map_or_else(|| "never".to_owned(), |until| until.to_string());
            format!("{} {} {until}", best.name(), best.state)
        });
        assert_eq!(found.as_deref(), best);
    }
}

#[test]
fn it_stops_counting_when_the_first_thing_ends_it() {
    let planned = format!("{DATES}, verifiedAt: \"2026-11-15\", events: [{{type: Suspended, effectiveAt: \"2026-12-01T00:00:00Z\"}}]");
    let c = cloud(&format!("registerMaxAge: 35d\nqualifications: [{{scheme: secnumcloud, {planned}}}]"));
    let standing = standing(&[("c", c)], "2026-11-25T00:00:00Z");
    assert_eq!(standing.qualifications[0].counts_until, Some(instant("2026-12-01T00:00:00Z")));
}
