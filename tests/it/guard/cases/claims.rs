//! Claims, snapshots and grants of sensitive namespaces.

use http::Method;
use serde_json::{Value, json};

use super::*;

const CLASS: &str = "/spec/storageClassName";
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const SELECTED: &str = "volume.kubernetes.io/selected-node";

pub(super) fn claims() -> Vec<Case> {
    [creation(), classes_of_levels(), snapshots(), updates(), snapshots_and_grants_later()].into_iter().flatten().collect()
}

/// A tenant creates a claim.
fn ask(binding: &'static str, row: &'static str, namespace: &str, claim: Value, expected: Expected) -> Case {
    request(binding, row, Who::Tenant, Method::POST, &format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims"), claim, expected)
}

fn claim(class: Option<&str>, mut spec: Value) -> Value {
    spec["accessModes"] = json!(["ReadWriteOnce"]);
    spec["resources"] = json!({"requests": {"storage": "1Gi"}});
    if let Some(class) = class {
        spec["storageClassName"] = class.into();
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "probe"}, "spec": spec})
}

fn noted(annotation: &str, value: &str, claim: Value) -> Value {
    with(claim, "/metadata/annotations", json!({annotation: value}))
}

fn creation() -> Vec<Case> {
    let binding = "rempart-claim";
    let fast = |spec: Value| claim(Some("fast"), spec);
    let refused = |row, claim, words| ask(binding, row, "emr", claim, Refused(words));
    vec![
        refused(
            "C1 a class that is not cleared",
            claim(Some("standard"), json!({})),
            "sensitivity restreint (label of namespace emr): storage class standard is not cleared: use one of fast, odd, quick",
        ),
        refused("C1 a class of a cloud that is not cleared", claim(Some("slow"), json!({})), "storage class slow is not cleared"),
        refused("C1 no class, on purpose", claim(Some(""), json!({})), "it names no storage class: use one of fast"),
        by(Who::Admin, refused("C1 an administrator asks", claim(Some("standard"), json!({})), "storage class standard is not cleared")),
        by(
            Who::JobController,
            refused("C14 a controller asks", claim(Some("standard"), json!({})), "storage class standard is not cleared"),
        ),
        ask(
            binding,
            "C1 the default of the cluster",
            "clinic",
            claim(None, json!({})),
            Refused(
                "sensitivity sante (label of namespace clinic): storage class default-plain is not cleared: use one of fast, odd, quick",
            ),
        )
        .needs("storageclasses/default-plain"),
        refused(
            "C16, attack A1 the old annotation names another class",
            noted(OLD_CLASS, "standard", fast(json!({}))),
            "storage class standard is not cleared: use one of fast, odd, quick; the annotation volume.beta.kubernetes.io/storage-class names another",
        ),
        refused(
            "C16 the old annotation alone",
            noted(OLD_CLASS, "standard", claim(None, json!({}))),
            "storage class standard is not cleared",
        ),
        refused(
            "C16 the old annotation hides a class that is not cleared",
            noted(OLD_CLASS, "fast", claim(Some("standard"), json!({}))),
            "the annotation volume.beta.kubernetes.io/storage-class names another class than spec.storageClassName: remove it",
        ),
        refused("C3 volumeName", fast(json!({"volumeName": "available-fast"})), "spec.volumeName chooses the volume: remove it"),
        refused(
            "C4 selected-node",
            noted(SELECTED, "node-5", fast(json!({}))),
            "the annotation volume.kubernetes.io/selected-node is for the scheduler",
        ),
        refused(
            "C10 data of another namespace",
            fast(json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "data", "namespace": "plain"}})),
            "spec.dataSourceRef takes data from namespace plain: only data of its own namespace is allowed",
        ),
        refused(
            "C15 an attributes class that is not cleared",
            fast(json!({"volumeAttributesClassName": "lead"})),
            "volume attributes class lead is not cleared",
        ),
        refused(
            "everything at once, in one message",
            noted(SELECTED, "node-5", claim(Some("standard"), json!({"volumeName": "x", "volumeAttributesClassName": "lead"}))),
            "storage class standard is not cleared: use one of fast, odd, quick; spec.volumeName chooses the volume: remove it, so that one is made for this \
             claim; the annotation volume.kubernetes.io/selected-node is for the scheduler alone: remove it; volume attributes class lead is not cleared",
        ),
        ask(
            binding,
            "operator dead: the clearance of the level ran out",
            "lapsed",
            fast(json!({})),
            Refused("its clearance ended at 2020"),
        ),
        ask(
            binding,
            "mistyped level of a namespace",
            "typo",
            fast(json!({})),
            Refused(
                "sensitivity restreitn (label of namespace typo): no sensitivity level has this name: use one of interne, late, observe, restreint, sante",
            ),
        ),
        ask(
            binding,
            "attack A8 empty level of a namespace",
            "blank",
            fast(json!({})),
            Refused("the label rempart.dev/sensitivity is empty"),
        ),
        ask("", "a class that is cleared", "emr", fast(json!({"volumeAttributesClassName": "gold"})), Accepted),
        ask(
            "",
            "the old annotation, and the field says the same",
            "emr",
            noted(OLD_CLASS, "fast", fast(json!({}))),
            Carries(vec![(CLASS, json!("fast"))]),
        ),
        ask(
            "",
            "the old annotation alone, of a class that is cleared",
            "emr",
            noted(OLD_CLASS, "fast", claim(None, json!({}))),
            Carries(vec![(CLASS, Value::Null)]),
        ),
        ask("", "C3 volumeName, for a level that takes static volumes", "clinic", fast(json!({"volumeName": "x"})), Accepted),
        ask("", "C10 a clone", "emr", fast(json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "data"}})), Accepted),
        ask(
            "",
            "C10 a clone that names its own namespace",
            "emr",
            fast(json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "data", "namespace": "emr"}})),
            Accepted,
        ),
        ask(
            "",
            "C10 a restore",
            "emr",
            fast(json!({"dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "nightly"}})),
            Accepted,
        ),
        ask(
            "",
            "in a plain namespace everything goes, as it was written",
            "plain",
            noted(SELECTED, "node-5", claim(Some("standard"), json!({"volumeName": "x", "volumeAttributesClassName": "lead"}))),
            Accepted,
        ),
    ]
}

/// `whenUnset`, and levels that are not enforced.
fn classes_of_levels() -> Vec<Case> {
    vec![
        ask(
            "rempart-claim-class",
            "C1 whenUnset instead of the default of the cluster",
            "emr",
            claim(None, json!({})),
            Carries(vec![(CLASS, json!("fast"))]),
        ),
        ask("", "whenUnset never overrides a choice", "emr", claim(Some("quick"), json!({})), Carries(vec![(CLASS, json!("quick"))])),
        ask(
            "",
            "no whenUnset in a plain namespace",
            "watched",
            claim(Some("standard"), json!({})),
            Carries(vec![(CLASS, json!("standard"))]),
        ),
        ask(
            "rempart-claim-warn",
            "a namespace in Warn: the same verdict as a warning",
            "watched",
            claim(Some("standard"), json!({})),
            Warned(
                "sensitivity interne (label of namespace watched): storage class standard is not cleared: use one of fast, moved, odd, quick, slow",
            ),
        ),
        ask(
            "rempart-claim-audit",
            "a namespace in Audit: the same verdict in the log",
            "observed",
            claim(Some("standard"), json!({})),
            Audited("sensitivity observe (label of namespace observed): storage class standard is not cleared"),
        ),
    ]
}

fn snapshots() -> Vec<Case> {
    let binding = "rempart-claim";
    let path = "/apis/snapshot.storage.k8s.io/v1/namespaces/emr/volumesnapshots";
    let groups = "/apis/groupsnapshot.storage.k8s.io/v1beta1/namespaces/emr/volumegroupsnapshots";
    let of =
        |kind: &str, version: &str, spec: Value| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "probe"}, "spec": spec});
    let snapshot = |spec: Value| of("VolumeSnapshot", "snapshot.storage.k8s.io/v1", spec);
    let group = |spec: Value| of("VolumeGroupSnapshot", "groupsnapshot.storage.k8s.io/v1beta1", spec);
    let taken = json!({"source": {"volumeSnapshotContentName": "nightly"}});
    let ask = |binding, row, who, path: &str, body, expected| request(binding, row, who, Method::POST, path, body, expected);
    let data = json!({"persistentVolumeClaimName": "data"});
    vec![
        ask(
            binding,
            "C9 a snapshot class that is not cleared",
            Who::Tenant,
            path,
            snapshot(json!({"volumeSnapshotClassName": "slow-snap", "source": data})),
            Refused("sensitivity restreint (label of namespace emr): snapshot class slow-snap is not cleared: use one of snap"),
        ),
        ask(
            binding,
            "C9 a snapshot of no class",
            Who::Tenant,
            path,
            snapshot(json!({"source": data})),
            Refused("it names no snapshot class: use one of snap"),
        ),
        ask(
            binding,
            "C9 a snapshot takes over what is there",
            Who::Tenant,
            path,
            snapshot(taken.clone()),
            Refused("taking over snapshot content that is there already (nightly) needs the verb provision on trustedclouds.rempart.dev"),
        ),
        ask(
            binding,
            "attack B6 a group snapshot of any class",
            Who::Tenant,
            groups,
            group(json!({"volumeGroupSnapshotClassName": "any", "source": {"selector": {}}})),
            Refused("snapshot class any is not cleared: use one of snap"),
        ),
        ask("", "a snapshot", Who::Tenant, path, snapshot(json!({"volumeSnapshotClassName": "snap", "source": data})), Accepted),
        ask(
            "",
            "a group snapshot",
            Who::Tenant,
            groups,
            group(json!({"volumeGroupSnapshotClassName": "snap", "source": {"selector": {}}})),
            Accepted,
        ),
        ask("", "the controller makes the snapshots of a group", Who::Keeper, path, snapshot(taken.clone()), Accepted),
        ask("", "a snapshot in a plain namespace", Who::Tenant, &path.replace("emr", "plain"), snapshot(taken), Accepted),
    ]
}

fn updates() -> Vec<Case> {
    let binding = "rempart-claim-update";
    let path = |claim: &str| format!("/api/v1/namespaces/{claim}").replace("CLAIMS", "persistentvolumeclaims");
    let data = path("emr/CLAIMS/data");
    let status = format!("{data}/status");
    let attributes = |class: &str| json!({"spec": {"volumeAttributesClassName": class}});
    let bind = |volume: &str| json!({"spec": {"volumeName": volume}});
    let annotate = |annotation: &str, value: Value| json!({"metadata": {"annotations": {annotation: value}}});
    vec![
        patch(binding, "C3 a tenant binds", Who::Tenant, &data, bind("x"), Refused("spec.volumeName is for the volume binder alone")),
        patch(
            binding,
            "C3, C5 the binder takes a volume that was not made for the claim",
            Who::Binder,
            &data,
            bind("available-fast"),
            Refused("volume available-fast was not made for this claim (its name is not pvc-"),
        ),
        patch(
            binding,
            "C2 the default of the cluster comes later",
            Who::Binder,
            &path("emr/CLAIMS/classless"),
            json!({"spec": {"storageClassName": "standard"}}),
            Refused("the storage class of a claim is fixed when the claim is created"),
        ),
        patch(
            "",
            "C16 the class by annotation, later",
            Who::Tenant,
            &data,
            annotate(OLD_CLASS, json!("standard")),
            RefusedByOthers("field is immutable"),
        ),
        patch(
            binding,
            "C16 the same through status",
            Who::Tenant,
            &status,
            annotate(OLD_CLASS, json!("standard")),
            Refused("is fixed when"),
        ),
        patch(
            binding,
            "C4 selected-node later",
            Who::Tenant,
            &data,
            annotate(SELECTED, json!("node-5")),
            Refused("the annotation volume.kubernetes.io/selected-node is for the scheduler alone"),
        ),
        patch(
            binding,
            "attack B4 selected-node through status",
            Who::Tenant,
            &status,
            annotate(SELECTED, json!("node-5")),
            Refused("the annotation volume.kubernetes.io/selected-node is for the scheduler alone"),
        ),
        patch(
            binding,
            "C15 an attributes class that is not cleared, later",
            Who::Tenant,
            &path("emr/CLAIMS/bound"),
            attributes("lead"),
            Refused("volume attributes class lead is not cleared"),
        )
        .needs("persistentvolumeclaims/bound"),
        patch("", "an attributes class that is cleared, later", Who::Tenant, &path("emr/CLAIMS/bound"), attributes("gold"), Accepted)
            .needs("persistentvolumeclaims/bound"),
        patch("", "the scheduler selects a node", Who::Scheduler, &data, annotate(SELECTED, json!("node-0")), Accepted),
        patch(
            "",
            "a scheduler of the level selects a node",
            Who::SanteScheduler,
            &path("clinic/CLAIMS/data"),
            annotate(SELECTED, json!("node-0")),
            Accepted,
        ),
        patch("", "a provisioner takes its node off", Who::Tenant, &data, annotate(SELECTED, Value::Null), Accepted),
        patch("", "the binder, of a class whose volumes have other names", Who::Binder, &path("emr/CLAIMS/odd"), bind("vol-1"), Accepted),
        patch("", "the binder, of a level that takes static volumes", Who::Binder, &path("clinic/CLAIMS/data"), bind("vol-1"), Accepted),
        patch(
            "",
            "the binder, where it has no account of its own",
            Who::ControllerManager,
            &path("emr/CLAIMS/odd"),
            bind("vol-1"),
            Accepted,
        ),
        patch(
            "",
            "a claim older than the level stays editable",
            Who::Tenant,
            &path("emr/CLAIMS/uncleared"),
            json!({"metadata": {"labels": {"note": "seen"}, "annotations": {"note": "seen"}, "finalizers": ["example.com/keep"]}}),
            Accepted,
        ),
        patch("", "the status of a claim", Who::Binder, &status, json!({"status": {"phase": "Lost"}}), Accepted),
        request("", "a claim is deleted", Who::Tenant, Method::DELETE, &data, Value::Null, Accepted),
        patch("", "in a plain namespace everything goes", Who::Tenant, &path("plain/CLAIMS/data"), bind("x"), Accepted),
    ]
}

fn snapshots_and_grants_later() -> Vec<Case> {
    let binding = "rempart-claim-update";
    let snapshot = "/apis/snapshot.storage.k8s.io/v1/namespaces/emr/volumesnapshots/nightly";
    let grants = "/apis/gateway.networking.k8s.io/v1beta1/namespaces/emr/referencegrants";
    let older = &format!("{grants}/older");
    let to = |kind: &str| json!({"to": [{"group": "", "kind": kind}]});
    let grant = |kind: &str| json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": {"name": "new"}, "spec": to(kind)});
    let granted = "claims, snapshots and secrets may not be granted to another namespace";
    vec![
        patch(
            binding,
            "attack B6 the class of a snapshot changed",
            Who::Tenant,
            snapshot,
            json!({"spec": {"volumeSnapshotClassName": "slow-snap"}}),
            Refused("the class of a snapshot is fixed when the snapshot is created"),
        ),
        patch("", "a snapshot is annotated", Who::Tenant, snapshot, json!({"metadata": {"annotations": {"note": "seen"}}}), Accepted),
        request(binding, "C10 a grant of claims", Who::Tenant, Method::POST, grants, grant("PersistentVolumeClaim"), Refused(granted)),
        request(binding, "C10 a grant of snapshots", Who::Admin, Method::POST, grants, grant("VolumeSnapshot"), Refused(granted)),
        patch(binding, "C10 a grant is widened", Who::Tenant, older, json!({"spec": {"from": []}}), Refused(granted)),
        patch(
            "",
            "a grant older than the level is annotated",
            Who::Tenant,
            older,
            json!({"metadata": {"annotations": {"note": "seen"}}}),
            Accepted,
        ),
        patch("", "a grant older than the level is taken back", Who::Tenant, older, json!({"spec": to("Service")}), Accepted),
        request("", "a grant of something else", Who::Tenant, Method::POST, grants, grant("Service"), Accepted),
        request(
            "",
            "a grant in a plain namespace",
            Who::Tenant,
            Method::POST,
            &grants.replace("emr", "plain"),
            grant("PersistentVolumeClaim"),
            Accepted,
        ),
    ]
}
