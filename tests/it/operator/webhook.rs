//! API servers that serve no mutating policies call the operator, which does what the policies would have done.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::replicas::Replica;
use super::world::{World, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{Cluster, apply, asked, expect_refused, has_mutation, send, try_apply, wait_until};

const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/rempart";
pub(super) const PUBLISHED: &str = "/api/v1/namespaces/rempart-system/configmaps/rempart-webhook";
const ADDS: &str = "the operator's webhook adds the nodeSelector";
const MISSING: &str = "nodeSelector rempart.node-restriction.kubernetes.io/restreint: cleared is missing: try again, write it into the pod";

/// A cluster from before mutating policies, with a cloud of one node, a sensitive namespace and a plain one.
pub(super) async fn world(name: &str, flags: &[&str]) -> World {
    let mut world = World::installed_on(Cluster::without_mutation(name, &[])).await;
    world.launch_with(flags);
    furnish(&world).await;
    world
}

/// What there is in it, and that the operator works.
pub(super) async fn furnish(world: &World) {
    world.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint()]).await;
    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("open", None)]).await;
    apply(&world.admin, &[node("snc-1", "snc"), node("aws-1", "aws")]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", ADDS).await;
}

/// Whether a pod that carries nothing would be accepted in the sensitive namespace.
async fn bare(world: &World) -> Result<Value, String> {
    let answer = send(&world.admin, Method::POST, "/api/v1/namespaces/secret/pods?dryRun=All", Some(&pod("tried"))).await;
    answer.map_err(|error| error.to_string())?.accepted()
}

pub(super) fn carries(name: &str) -> Value {
    merged(pod(name), json!({"spec": {"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_get_their_selector_and_while_the_operator_is_dead_those_that_lack_it_are_refused() {
    let mut world = world("webhook", &[]).await;
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "late"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": {
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"nodeSelector": {"nobody": "has"}, "containers": [{"name": "c", "image": "i"}]},
        }},
    });
    apply(&world.admin, &[namespace("late", None), set]).await;
    apply(&world.admin, &[namespace("late", Some("restreint"))]).await;
    wait_until("a DaemonSet from before the level gets its selector", async || {
        let set = world.get("/apis/apps/v1/namespaces/late/daemonsets/agent").await?;
        let selector = &set["spec"]["template"]["spec"]["nodeSelector"];
        if selector["rempart.node-restriction.kubernetes.io/restreint"] == "cleared" { Ok(()) } else { Err(selector.to_string()) }
    })
    .await;

    world.create_pod("secret", &pod("bare")).await.accepted().unwrap();
    let placed = world.wait_pods("secret", 1).await;
    assert_eq!(placed[0].1.as_deref(), Some("snc-1"));
    let raised = merged(pod("raised"), json!({"metadata": {"labels": {"rempart.dev/sensitivity": "restreint"}}}));
    world.create_pod("open", &raised).await.accepted().unwrap();
    assert_eq!(world.wait_pods("open", 1).await[0].1.as_deref(), Some("snc-1"));
    let declaration = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "ledger", "namespace": "open"},
        "spec": {"level": "restreint", "workloads": {"matchLabels": {"app": "ledger"}}},
    });
    apply(&world.admin, &[declaration]).await;
    wait_until("the namespace is marked", async || {
        let found = world.get("/api/v1/namespaces/open").await?["metadata"]["labels"].clone();
        if found["rempart.dev/declared"] == "true" { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
    let ledger = merged(pod("ledger"), json!({"metadata": {"labels": {"app": "ledger"}}}));
    let ledger = wait_until("a declared pod is accepted", async || world.create_pod("open", &ledger).await.accepted()).await;
    assert_eq!(ledger["metadata"]["labels"]["rempart.dev/sensitivity"], "restreint");
    assert_eq!(ledger["metadata"]["annotations"]["rempart.dev/declared-by"], "ledger");

    world.kill();
    expect_refused(&world.create_pod("secret", &pod("lacks")).await, MISSING);
    expect_refused(&world.create_pod("open", &merged(raised, json!({"metadata": {"name": "raised-too"}}))).await, MISSING);
    world.create_pod("secret", &carries("carries")).await.accepted().unwrap();
    world.create_pod("open", &pod("plain")).await.accepted().unwrap();
    let placed = world.wait_pods("secret", 2).await;
    assert!(placed.iter().all(|(_, node, _)| node.as_deref() == Some("snc-1")), "{placed:?}");
    let plain = world.get("/api/v1/namespaces/open/pods/plain").await.unwrap();
    assert!(plain["spec"]["nodeSelector"].is_null(), "{plain}");

    world.start().await;
    wait_until("the selector is added again", async || bare(&world).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_does_to_the_configuration_or_to_what_is_published_is_put_right() {
    let world = world("webhook-repaired", &[]).await;
    world.settled().await;
    let right = world.get(CONFIGURATION).await.unwrap()["webhooks"].clone();
    let restored = async |what: &str| {
        wait_until(what, async || {
            let found = world.get(CONFIGURATION).await?["webhooks"].clone();
            if found == right { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
        wait_until("and it is called", async || bare(&world).await).await;
    };
    let mut others = right.clone();
    for webhook in others.as_array_mut().unwrap() {
        webhook["clientConfig"]["caBundle"] = BASE64_STANDARD.encode("nobody").into();
    }
    world.patch(CONFIGURATION, json!({"webhooks": others})).await;
    restored("the authorities are put back").await;
    let mut closes = right.clone();
    closes[0]["failurePolicy"] = "Fail".into();
    closes[1]["namespaceSelector"] = json!({});
    world.patch(CONFIGURATION, json!({"webhooks": closes})).await;
    restored("it fails open again, and looks at what is sensitive only").await;
    world.delete(CONFIGURATION).await;
    restored("it is made again").await;

    // Garbage beside the authority of a replica makes API servers trust no less.
    world.patch(PUBLISHED, json!({"data": {"stranger": "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"}})).await;
    restored("garbage is not passed on").await;
    world.delete(PUBLISHED).await;
    wait_until("the authority is published again", async || {
        let data = world.get(PUBLISHED).await?["data"].clone();
        if data["rempart"].as_str().is_some_and(|entry| entry.contains("BEGIN CERTIFICATE")) { Ok(()) } else { Err(data.to_string()) }
    })
    .await;
    restored("it trusts the same").await;
    let published = world.get(PUBLISHED).await.unwrap();
    assert!(!published.to_string().contains("PRIVATE KEY"), "{published}");
}

/// A client that trusts what API servers are told to trust, and nobody else.
pub(super) async fn told(world: &World) -> Client {
    let configuration = world.get(CONFIGURATION).await.unwrap();
    let bundle = configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().expect("it names authorities");
    let bundle = String::from_utf8(BASE64_STANDARD.decode(bundle).unwrap()).unwrap();
    trusting(world, bundle.as_bytes())
}

fn trusting(world: &World, bundle: &[u8]) -> Client {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let roots: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(bundle).map(|der| der.unwrap().to_vec()).collect();
    let mut config = kube::Config::new(world.service.url().parse().unwrap());
    config.root_cert = Some(roots);
    config.default_retry = false;
    Client::try_from(config).expect("these are certificates")
}

pub(super) async fn ask(client: &Client, method: Method, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
    let request = Request::builder().method(method).uri(path).header("Content-Type", "application/json").body(Body::from(body)).unwrap();
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect_bytes().await.map_err(|error| error.to_string())?.to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_get_nothing_and_stop_nothing() {
    let world = world("webhook-hostile", &[]).await;
    let client = told(&world).await;
    let path = "/rempart-pod-selector";
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "u", "namespace": "secret", "object": {"metadata": {}, "spec": {}}},
    });
    let (status, body) = ask(&client, Method::POST, path, review.to_string().into_bytes()).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["response"]["uid"], &answer["response"]["allowed"]), (200, &json!("u"), &json!(true)));
    assert_eq!(answer["response"]["patchType"], "JSONPatch");

    for garbage in ["", "garbage", "{}", "[]", r#"{"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": 1}}"#] {
        assert_eq!(ask(&client, Method::POST, path, garbage.into()).await.unwrap().0, 400, "{garbage}");
    }
    // It may hang up while there is still something to send.
    let oversize = ask(&client, Method::POST, path, vec![b' '; 7 * 1024 * 1024]).await;
    assert_eq!(oversize.map_or(413, |(status, _)| status), 413);
    let client = told(&world).await;
    assert_eq!(ask(&client, Method::GET, path, Vec::new()).await.unwrap().0, 405);
    for nowhere in ["/", "/metrics", "/rempart-epoch", "/rempart-pod-selector/x"] {
        assert_eq!(ask(&client, Method::POST, nowhere, review.to_string().into()).await.unwrap().0, 404, "{nowhere}");
    }
    // Whoever is not given a certificate that he trusts says nothing more, and without TLS there is no answer.
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    assert!(ask(&trusting(&world, other.as_bytes()), Method::POST, path, review.to_string().into()).await.is_err());
    let mut plain = TcpStream::connect(world.service.address()).unwrap();
    plain.write_all(b"POST /rempart-pod-selector HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{said:?}");
    // Some that say nothing at all keep nobody waiting.
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(world.service.address()).unwrap()).collect();
    world.service.cut();
    let silent_too: Vec<_> = (0..50).map(|_| TcpStream::connect(world.service.address()).unwrap()).collect();
    wait_until("the webhook is called all the same", async || bare(&world).await).await;
    drop((silent, silent_too));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_and_whoever_believes_the_configuration_is_never_turned_away() {
    let world = world("webhook-rotation", &["--webhook-certificates", "30s"]).await;
    let changes = || world.log().matches("the webhook serves its next certificate").count();
    let mut seen = 0;
    while changes() < 2 {
        let client = told(&world).await;
        if let Err(error) = ask(&client, Method::GET, "/", Vec::new()).await {
            panic!("{error} after {} changes and {seen} connections:\n{}", changes(), world.log());
        }
        bare(&world).await.unwrap_or_else(|why| panic!("{why} after {} changes:\n{}", changes(), world.log()));
        seen += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!world.log().contains("does not trust the next certificate"), "{}", world.log());
}

/// Without the right to publish there is no next certificate: when the last one has expired, API servers no longer believe it.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_refuses_pods_and_lets_none_by_until_there_is_another() {
    let world = world("webhook-expired", &["--webhook-certificates", "20s"]).await;
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/rempart-system/roles/rempart-webhook";
    let rules = world.get(role).await.unwrap()["rules"].clone();
    world.patch(role, json!({"rules": []})).await;
    wait_until("nobody believes the certificate any more", async || {
        world.service.cut();
        match bare(&world).await {
            Err(why) if why.contains(MISSING) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    world.create_pod("secret", &carries("carries")).await.accepted().unwrap();
    world.patch(role, json!({"rules": rules})).await;
    wait_until("there is another", async || bare(&world).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_replica_answers_and_one_is_enough() {
    const NEVER: [&str; 4] = ["--lease-duration", "600s", "--lease-renew-within", "500s"];
    let mut world = world("webhook-replicas", &NEVER).await;
    let second = Replica::launch(&world, "second", &NEVER);
    wait_until("both are believed", async || {
        let published = world.get(PUBLISHED).await?["data"].clone();
        let configuration = world.get(CONFIGURATION).await?;
        let bundle = BASE64_STANDARD.decode(configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default()).unwrap();
        let believed = String::from_utf8_lossy(&bundle).matches("BEGIN CERTIFICATE").count();
        if believed == 2 && published.as_object().is_some_and(|entries| entries.len() == 2) {
            Ok(())
        } else {
            Err(format!("{believed} of {published}"))
        }
    })
    .await;
    for _ in 0..6 {
        world.service.cut();
        wait_until("either answers", async || bare(&world).await).await;
    }
    // Nobody takes the lease for ten minutes, and nobody needs to.
    world.kill();
    world.service.cut();
    wait_until("the one that is left answers", async || bare(&world).await).await;
    assert!(second.log().contains("standing by"));
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_volumes_get_what_mutating_policies_would_have_given_them() {
    let mut world = World::installed_on(Cluster::without_mutation("webhook-storage", &[])).await;
    world.start().await;
    let storage = json!([{"name": "block", "provisioner": "csi.snc.example", "volumeNames": "ClaimUid"}]);
    let cloud = merged(qualified_cloud("snc"), json!({"spec": {"storage": storage}}));
    let requires = restreint()["spec"]["requires"].clone();
    let level = level("restreint", requires, json!({"storage": {"whenUnset": "snc-block"}}));
    apply(&world.admin, &[cloud, level, namespace("secret", Some("restreint")), node("snc-1", "snc")]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", ADDS).await;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "secret"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "tried"},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "snc-block",
            "csi": {"driver": "csi.snc.example", "volumeHandle": "tried"},
            "claimRef": {"namespace": "secret", "name": "tried"},
        },
    });
    // The provisioner of these tests does not try twice.
    wait_until("volumes of the class get the affinity of its cloud, and are handed to the namespace", async || {
        let answer = send(&world.admin, Method::POST, "/api/v1/persistentvolumes?dryRun=All", Some(&volume)).await;
        let volume = answer.map_err(|error| error.to_string())?.accepted()?;
        if volume["spec"]["nodeAffinity"].is_null() { Err(volume.to_string()) } else { Ok(()) }
    })
    .await;
    wait_until("a claim is accepted", async || try_apply(&world.admin, &claim).await).await;
    let mounts = json!({"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}});
    world.create_pod("secret", &merged(pod("mounts"), mounts)).await.accepted().unwrap();
    world.wait_pods("secret", 1).await;
    let claim = world.get("/api/v1/namespaces/secret/persistentvolumeclaims/data").await.unwrap();
    assert_eq!(claim["spec"]["storageClassName"], "snc-block");
    let volume = world.get(&format!("/api/v1/persistentvolumes/{}", claim["spec"]["volumeName"].as_str().unwrap())).await.unwrap();
    let terms = &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"];
    assert!(
        terms.to_string().contains(r#""key":"rempart.node-restriction.kubernetes.io/cloud","operator":"In","values":["snc"]"#),
        "{terms}"
    );
}

/// After an upgrade of the cluster, the policies do it, and the webhook goes.
#[tokio::test(flavor = "multi_thread")]
async fn where_mutating_policies_are_served_a_configuration_from_before_goes() {
    if !has_mutation() {
        return;
    }
    let mut world = World::installed("webhook-upgraded").await;
    let left = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "rempart"},
        "webhooks": [{
            "name": "pod-selector.rempart.dev", "clientConfig": {"url": "https://127.0.0.1:9/"}, "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "failurePolicy": "Ignore", "timeoutSeconds": 1,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    });
    let strangers = merged(left.clone(), json!({"metadata": {"name": "strangers"}}));
    apply(&world.admin, &[left, strangers]).await;
    world.start().await;
    wait_until("it is gone", async || match world.get(CONFIGURATION).await {
        Err(why) if why.starts_with("404") => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(world.get(&CONFIGURATION.replace("/rempart", "/strangers")).await.is_ok());
    assert!(!world.log().contains("serving the webhook"), "{}", world.log());
    assert!(world.get(PUBLISHED).await.is_err());
    let metrics = asked(&world.log(), "/metrics").await.1;
    assert!(metrics.contains("rempart_leader") && !metrics.contains("rempart_webhook"), "{metrics}");
}
