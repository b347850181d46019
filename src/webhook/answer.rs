//! What is answered to a review. Whatever is not understood is let pass as it is: the policies judge it.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Sight;
use crate::cluster::World;
use crate::guard::{Mutation, Object};
use crate::plan::mutations;
use crate::telemetry::Answered;

/// How long to wait for what the API server has stored already and a watch has not brought yet; less than an API server waits for the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to look.
const LOOK: Duration = Duration::from_millis(10);
/// Longest name of a review, which comes back in the answer: an API server gives it 36 letters.
const LONGEST_UID: usize = 128;

/// An `AdmissionReview`, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    api_version: String,
    request: Request,
}

#[derive(Debug, Deserialize)]
struct Request {
    uid: String,
    #[serde(default)]
    namespace: String,
    object: Object,
}

impl Review {
    /// A review of the version that is spoken here; otherwise, why it is none.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let review: Self = serde_json::from_slice(body).map_err(|error| format!("this is no AdmissionReview: {error}"))?;
        match review.api_version.as_str() {
            "admission.k8s.io/v1" if review.request.uid.len() <= LONGEST_UID => Ok(review),
            "admission.k8s.io/v1" => Err("the uid of this AdmissionReview is too long".to_owned()),
            other => Err(format!("{other:?} is not spoken here, only admission.k8s.io/v1")),
        }
    }

    /// The answer of `mutation`, and what it amounts to.
    pub(super) async fn answer(&self, mutation: Mutation, sight: &Sight) -> (Value, Answered) {
        let Request { uid, namespace, object } = &self.request;
        let known = async {
            loop {
                let snapshot = sight.borrow().as_ref().and_then(World::snapshot);
                if let Some(operations) = snapshot.and_then(|snapshot| mutations(&snapshot, mutation, namespace, object)) {
                    return operations;
                }
                sleep(LOOK).await;
            }
        };
        let operations = tokio::time::timeout_at(Instant::now() + PATIENCE, known).await;
        let answered = match &operations {
            Ok(operations) if operations.is_empty() => Answered::Unchanged,
            Ok(_) => Answered::Patched,
            Err(_) => Answered::Unheard,
        };
        let operations = operations.unwrap_or_default();
        let mut response = json!({"uid": uid, "allowed": true});
        if !operations.is_empty() {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = BASE64_STANDARD.encode(Value::from(operations).to_string()).into();
        }
        (json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}), answered)
    }
}

/// Text in base64.
pub(super) fn decoded(text: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_review_is_told_so() {
        let read = |text: &str| Review::read(text.as_bytes()).map(|review| review.request.uid);
        let review =
            |version: &str, object: &str| format!(r#"{{"apiVersion": "{version}", "request": {{"uid": "u", "object": {object}}}}}"#);
        assert_eq!(read(&review("admission.k8s.io/v1", "{}")), Ok("u".to_owned()));
        for text in ["", "garbage", "[]", "{}", "null", &review("admission.k8s.io/v1beta1", "{}"), &review("admission.k8s.io/v1", "null")] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&review("admission.k8s.io/v1", &deep)).is_err());
        let beside = format!(r#"{{"spec": {{"nobody asks": {deep}}}}}"#);
        assert_eq!(read(&review("admission.k8s.io/v1", &beside)), Ok("u".to_owned()), "what is not read can be anything");
        let named = |length: usize| review("admission.k8s.io/v1", "{}").replace(r#""u""#, &format!("{:?}", "u".repeat(length)));
        assert!(read(&named(LONGEST_UID)).is_ok() && read(&named(LONGEST_UID + 1)).is_err());
    }
}
