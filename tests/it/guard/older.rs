//! Kubernetes before 1.36: the webhook in place of the mutating policies. All that the table says holds there as well, and what is stored is the same.

use axum::extract::State;
use axum::{Router, routing};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use http::header::CONTENT_TYPE;
use kube::Client;
use rempart::api::{ClearanceSpec, DataDeclaration};
use rempart::guard::{Facts, Mutation, Object, Reach, mutate, webhook};
use serde_json::{Value, json};

use super::world::{Clients, OLDER, QUIET, cases_of_older, settings};
use crate::cluster::{Cluster, send};

/// The configuration that the operator would write, and behind it what the operator would answer, from what is stored at that moment.
pub(super) async fn configuration(cluster: &Cluster) -> Value {
    // A client belongs to a runtime; this one is to live on that of the webhook.
    let kubeconfig = cluster.dir().join("kubeconfig");
    let router = Mutation::ALL.into_iter().fold(Router::new(), |router, mutation| {
        router.route(
            &format!("/{}", mutation.as_str()),
            routing::post(async move |State(kubeconfig): State<std::path::PathBuf>, review: String| {
                answer(mutation, &kubeconfig, &review).await
            }),
        )
    });
    let (address, certificate) = super::webhook::serve(router.with_state(kubeconfig)).await;
    let mut configuration = webhook(&settings(), &Reach::Url(format!("https://{address}")), &[certificate]);
    // This one reads what the operator would know already. What an API server does about an answer that is late is not tried here.
    for webhook in configuration["webhooks"].as_array_mut().expect("webhooks are a list") {
        webhook["timeoutSeconds"] = 30.into();
    }
    configuration
}

async fn answer(mutation: Mutation, kubeconfig: &std::path::Path, review: &str) -> ([(http::HeaderName, &'static str); 1], String) {
    let client = crate::cluster::client_of(kubeconfig).await;
    let review: Value = serde_json::from_str(review).expect("the API server sends JSON");
    let request = &review["request"];
    let namespace = request["namespace"].as_str().unwrap_or_default();
    let level = get(&client, &format!("/api/v1/namespaces/{namespace}")).await["metadata"]["labels"]["rempart.dev/sensitivity"].clone();
    let clearance: Option<ClearanceSpec> =
        serde_json::from_value(get(&client, "/apis/rempart.dev/v1alpha1/clearances/cluster").await["spec"].clone()).ok();
    let declarations = get(&client, &format!("/apis/rempart.dev/v1alpha1/namespaces/{namespace}/datadeclarations")).await;
    let declarations = declarations["items"].as_array().cloned().unwrap_or_default().into_iter();
    let declarations: Vec<DataDeclaration> = declarations.filter_map(|declaration| serde_json::from_value(declaration).ok()).collect();
    let settings = settings();
    let facts = Facts {
        namespace,
        level: level.as_str().unwrap_or_default(),
        clearance: clearance.as_ref(),
        declarations: declarations.iter().map(|found| (found.metadata.name.as_deref().unwrap_or_default(), &found.spec)).collect(),
        unenforced: settings.audit.iter().chain(&settings.warn).map(String::as_str).collect(),
        classes: settings.classes.clone(),
    };
    let object: Object = serde_json::from_value(request["object"].clone()).expect("the API server sends objects");
    let operations = mutate(mutation, &object, &facts);
    let mut response = json!({"uid": request["uid"], "allowed": true});
    if !operations.is_empty() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = BASE64_STANDARD.encode(Value::from(operations).to_string()).into();
    }
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    ([(CONTENT_TYPE, "application/json")], review.to_string())
}

async fn get(client: &Client, path: &str) -> Value {
    send(client, Method::GET, path, None).await.expect("the API server answers").body
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_webhook_every_way_around_is_closed_and_every_rightful_use_works() {
    let cluster = &*OLDER.ready().await;
    let clients = Clients::of(cluster).await;
    let mut wrong = Vec::new();
    let all = cases_of_older();
    for case in &all {
        if let Err(deviation) = case.holds(cluster, &clients).await {
            wrong.push(deviation.text);
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases went otherwise:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

/// Policy against webhook: the same request, the same object or the same refusal.
#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_makes_of_an_object_what_the_policies_make_of_it() {
    let (newer, older) = (&*QUIET.ready().await, &*OLDER.ready().await);
    let (by_policy, by_webhook) = (Clients::of(newer).await, Clients::of(older).await);
    let (mut compared, mut mutated, mut wrong) = (0, 0, Vec::new());
    for case in &cases_of_older() {
        let Some((mut one, mut other)) = case.made(&by_policy, &by_webhook).await else { continue };
        if case.row == "two declarations of different levels select one pod" {
            // Which of them comes first is chance in the API server. Refused it is either way.
            (one, other) = (one["code"].take(), other["code"].take());
        }
        compared += 1;
        mutated += usize::from(case.is_about_a_mutation());
        if one != other {
            wrong.push(format!("{case}\n  policy:  {one}\n  webhook: {other}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 60 && mutated > 15, "only {compared} compared, {mutated} of them mutated");
}
