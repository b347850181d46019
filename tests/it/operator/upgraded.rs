//! The cluster is upgraded while the operator runs, or goes back: the API server serves mutating policies now, or no longer.

use super::proxied;
use super::replicas::Replica;
use super::world::{World, restreint};
use crate::cluster::{apply, has_mutation, wait_until};
use crate::proxy::{Fault, On};

const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/rempart";
const POLICY: &str = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/rempart-pod-selector";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/rempart-system/leases/rempart";
const OFTEN: [&str; 2] = ["--probe-every", "1s"];
const KIND: &str = "MutatingAdmissionPolicy";
const ANEW: Option<i32> = Some(4);

/// Questions for what the API server serves.
fn asks() -> On {
    On::requests("^GET /apis/admissionregistration.k8s.io/v1 @")
}

/// Waits until the operator has ended, and gives its exit code.
async fn ended(world: &mut World) -> Option<i32> {
    wait_until("it ends", async || if world.is_running() { Err("it runs") } else { Ok(()) }).await;
    world.ended()
}

async fn holder(world: &World) -> String {
    world.get(LEASE).await.unwrap()["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_replicas_end_in_good_order_and_start_with_what_is_served() {
    if !has_mutation() {
        return;
    }
    let (mut world, proxy) = proxied("upgraded").await;
    proxy.spoil(asks(), |_| true, Fault::Without(KIND));
    world.launch_with(&OFTEN);
    world.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    apply(&world.admin, &[restreint()]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "the operator's webhook adds").await;
    assert!(world.get(POLICY).await.is_err() && world.get(CONFIGURATION).await.is_ok());
    let mut second = Replica::launch(&world, "second", &OFTEN);
    wait_until("the other stands by and serves", async || {
        if second.log().contains("serving the webhook") && world.get(LEASE).await.is_ok() { Ok(()) } else { Err(second.log()) }
    })
    .await;

    proxy.heal();
    let code = wait_until("the other ends", async || match second.process.try_wait() {
        Ok(Some(code)) => Ok(code.code()),
        _ => Err(second.log()),
    })
    .await;
    assert_eq!(code, ANEW);
    assert!(second.log().contains("API servers serve MutatingAdmissionPolicy v1 now"), "{}", second.log());
    assert_eq!(ended(&mut world).await, ANEW);
    for line in ["API servers serve MutatingAdmissionPolicy v1 now", "the lease is given back"] {
        assert!(world.log().contains(line), "{line}\n{}", world.log());
    }
    assert_eq!(holder(&world).await, "");

    world.launch_with(&OFTEN);
    wait_until("the policies take over from the webhook", async || {
        world.get(POLICY).await?;
        match world.get(CONFIGURATION).await {
            Err(why) if why.starts_with("404") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "seen to refuse a violation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_differ_or_fail_change_nothing_and_a_way_back_is_noticed() {
    if !has_mutation() {
        return;
    }
    let (mut world, proxy) = proxied("upgraded-back").await;
    world.launch_with(&OFTEN);
    world.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    // Each look asks three times: in each, one answer of three is another. And then, one of three fails, and the others are all another.
    let third = |number: usize| number.is_multiple_of(3);
    for (one, all) in [(Fault::Without(KIND), None), (Fault::Status(503), Some(Fault::Without(KIND)))] {
        let looks = proxy.spoil(asks(), third, one);
        if let Some(fault) = all {
            proxy.spoil(asks(), |_| true, fault);
        }
        wait_until("it has looked many times", async || match proxy.spoilt(looks) {
            20.. => Ok(()),
            few => Err(few),
        })
        .await;
        proxy.heal();
        assert!(world.is_running(), "{}", world.log());
    }
    assert!(!world.log().contains("to be started anew"), "{}", world.log());
    proxy.spoil(asks(), |_| true, Fault::Without(KIND));
    assert_eq!(ended(&mut world).await, ANEW);
    for line in ["API servers no longer serve MutatingAdmissionPolicy v1", "the lease is given back"] {
        assert!(world.log().contains(line), "{line}\n{}", world.log());
    }
}
