//! Tokens of service accounts, which kubelets ask for.

use http::Method;
use serde_json::json;

use super::*;

pub(super) fn tokens() -> Vec<Case> {
    let ask = |binding, row, who, namespace: &str, expected| {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default/token");
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        request(binding, row, who, Method::POST, &path, body, expected)
    };
    let withheld = "node node-5 is not cleared for sante and gets no tokens of the service accounts of namespace clinic";
    vec![
        ask("rempart-token", "D3 a node that is not cleared asks for a token", Who::InNameOfAKubelet, "clinic", Refused(withheld)),
        ask("", "a node that is cleared asks for a token", Who::InNameOfAClearedKubelet, "clinic", Accepted),
        ask("", "a tenant asks for a token", Who::Tenant, "clinic", Accepted),
        ask("", "D3 a level that keeps tokens", Who::InNameOfAKubelet, "emr", Accepted),
        ask("", "D3 a plain namespace", Who::InNameOfAKubelet, "plain", Accepted),
    ]
}
