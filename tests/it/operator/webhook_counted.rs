//! What the webhook says of itself to whoever is woken by it.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::webhook::{ask, carries, told, world};
use super::world::{World, pod};
use crate::cluster::{asked, wait_until};

const PATH: &str = "/rempart-pod-selector";
const MANY: usize = 30;
const ENDS: &str = "rempart_webhook_certificate_expiry_timestamp_seconds";

/// A series of this operator; none if it says nothing of it.
async fn series(world: &World, name: &str) -> Option<f64> {
    let text = asked(&world.log(), "/metrics").await.1;
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.map(|value| value.parse().expect("it is a number"))
}

/// How long the certificate that is served is still valid, in seconds.
async fn left(world: &World) -> f64 {
    series(world, ENDS).await.expect("the webhook serves") - Timestamp::now().as_duration().as_secs_f64()
}

fn review(namespace: &str, object: &Value) -> Vec<u8> {
    let request = json!({"uid": "u", "namespace": namespace, "object": object});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_what_became_of_them() {
    let world = world("webhook-counted", &["--probe-every", "600s"]).await;
    world.settled().await;
    let client = told(&world).await;
    let counted = async |outcome: &str| {
        let name = format!("rempart_webhook_requests_total{{outcome=\"{outcome}\"}}");
        series(&world, &name).await.unwrap_or_else(|| panic!("nothing is said of {outcome}"))
    };
    // API servers ask as well when the operator sees for itself that it is called, though not so often.
    for (outcome, namespace, object, times) in
        [("patched", "secret", pod("p"), MANY), ("unchanged", "secret", carries("p"), MANY), ("unheard", "nowhere", pod("p"), 1)]
    {
        let before = counted(outcome).await;
        for _ in 0..times {
            assert_eq!(ask(&client, Method::POST, PATH, review(namespace, &object)).await.unwrap().0, 200);
        }
        let counted = counted(outcome).await - before;
        let (at_least, at_most) = if times == MANY { (30.0, 59.0) } else { (1.0, 1.0) };
        assert!(counted >= at_least && counted <= at_most, "{outcome}: {counted}");
    }
    let before = counted("rejected").await;
    assert_eq!(ask(&client, Method::POST, PATH, "garbage".into()).await.unwrap().0, 400);
    assert_eq!(ask(&client, Method::POST, "/elsewhere", review("secret", &pod("p"))).await.unwrap().0, 404);
    assert!((counted("rejected").await - before - 1.0).abs() < 0.5);
    // An answer that must wait for what nobody knows takes a second.
    wait_until("who hangs up before is counted", async || {
        let asks = ask(&client, Method::POST, PATH, review("nowhere", &pod("p")));
        let answered = tokio::time::timeout(Duration::from_millis(300), asks).await;
        match counted("abandoned").await {
            count if count > 0.0 => Ok(()),
            _ => Err(format!("{answered:?}")),
        }
    })
    .await;

    let text = asked(&world.log(), "/metrics").await.1;
    let of = |start: &str| -> Vec<f64> {
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
    };
    let (requests, all) = (of("rempart_webhook_requests_total"), of("rempart_webhook_request_duration_seconds_count"));
    assert_eq!(requests.len(), 5, "{text}");
    assert!((requests.iter().sum::<f64>() - all[0]).abs() < 0.5, "each has a duration\n{text}");
    let soon = of("rempart_webhook_request_duration_seconds_bucket{le=\"0.512\"}")[0];
    assert!(soon > 0.0 && soon < all[0], "some took long, and others did not\n{text}");
    let hours = left(&world).await / 3_600.0;
    assert!(hours > 23.0 && hours <= 24.0, "{hours}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_certificate_moves_on_with_it() {
    let world = world("webhook-ends", &["--webhook-certificates", "30s"]).await;
    let changes = || world.log().matches("the webhook serves its next certificate").count();
    // There may have been some already.
    let before = changes();
    let first = series(&world, ENDS).await.unwrap();
    assert!(left(&world).await <= 30.0);
    wait_until("another certificate is served, and ends later", async || {
        let now = (changes(), series(&world, ENDS).await.unwrap());
        if now.0 > before && now.1 > first { Ok(()) } else { Err(now) }
    })
    .await;
}
