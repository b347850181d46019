//! Volumes, and whom they are handed to.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::operator::world::merged;

const VOLUMES: &str = "/api/v1/persistentvolumes";
const CLOUD: &str = "rempart.node-restriction.kubernetes.io/cloud";
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn volumes() -> Vec<Case> {
    [handed(), fresh(), affinity(), later(), exclusive()].into_iter().flatten().collect()
}

fn make(binding: &'static str, row: &'static str, volume: Value, expected: Expected) -> Case {
    request(binding, row, Who::Tenant, Method::POST, VOLUMES, volume, expected)
}

/// A volume of a class and a driver, reserved for a claim.
fn volume(class: &str, driver: &str, claim: &str) -> Value {
    of_source(class, claim, json!({"csi": {"driver": driver, "volumeHandle": "a"}}))
}

fn of_source(class: &str, claim: &str, mut spec: Value) -> Value {
    spec["accessModes"] = json!(["ReadWriteOnce"]);
    spec["capacity"] = json!({"storage": "1Gi"});
    spec["storageClassName"] = class.into();
    if let Some((namespace, name)) = claim.split_once('/') {
        spec["claimRef"] = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name});
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "probe"}, "spec": spec})
}

fn only_on(terms: Value, volume: Value) -> Value {
    with(volume, "/spec/nodeAffinity", json!({"required": {"nodeSelectorTerms": terms}}))
}

fn term(operator: &str, clouds: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": CLOUD, "operator": operator, "values": clouds}]})
}

fn handed() -> Vec<Case> {
    let binding = "rempart-volume";
    let refused = |row, volume, words| make(binding, row, volume, Refused(words));
    let mut forged = volume("standard", "disk.example", "emr/data");
    forged["metadata"]["name"] = "pvc-8a1c3b8e-0000-4000-8000-000000000002".into();
    let nfs = json!({"nfs": {"server": "nfs.example", "path": "/"}});
    let mut provisioned = of_source("fast", "emr/data", nfs.clone());
    provisioned["metadata"]["annotations"] = json!({"pv.kubernetes.io/provisioned-by": "shared.example"});
    let secret = |namespace: &str, claim: &str| {
        with(
            volume("standard", "plain.example", claim),
            "/spec/csi",
            json!({"driver": "plain.example", "volumeHandle": "a", "nodePublishSecretRef": {"name": "s", "namespace": namespace}}),
        )
    };
    vec![
        refused(
            "C5 a volume of a class that is not cleared is reserved for a claim",
            volume("standard", "disk.example", "emr/data"),
            "volume probe: storage class standard is not cleared for restreint, the sensitivity level of namespace emr: use one of fast, odd, quick",
        ),
        refused(
            "C5 a volume of no class",
            volume("", "disk.example", "emr/data"),
            "a volume without a storage class is not cleared for restreint",
        ),
        refused(
            "C5 a class of a cloud that is not cleared",
            volume("slow", "disk.example", "emr/data"),
            "storage class slow is not cleared for restreint",
        ),
        refused("attack B3 the volume has the name that the claim expects", forged, "storage class standard is not cleared for restreint"),
        by(
            Who::Admin,
            refused("C5 an administrator reserves it", volume("standard", "disk.example", "emr/data"), "standard is not cleared"),
        ),
        refused(
            "C5 a class that is cleared, and the disk of another driver",
            volume("fast", "other.example", "emr/data"),
            "its source is not of a driver of a trusted cloud (other.example), as namespace emr asks",
        ),
        refused(
            "C5 a class that is cleared, and a share of nobody",
            of_source("fast", "emr/data", nfs),
            "its source is not of a driver of a trusted cloud (unknown)",
        ),
        refused(
            "C16 the annotation of a volume names another class",
            with(volume("fast", "disk.example", "emr/data"), "/metadata/annotations", json!({OLD_CLASS: "standard"})),
            "storage class standard is not cleared for restreint",
        ),
        refused(
            "C16 the same for a plain claim",
            with(volume("fast", "disk.example", "plain/data"), "/metadata/annotations", json!({OLD_CLASS: "standard"})),
            "the annotation volume.beta.kubernetes.io/storage-class names another class than spec.storageClassName: remove it",
        ),
        refused(
            "attack B2 a volume shows a secret to pods of another namespace",
            secret("emr", "plain/data"),
            "it would show secrets of namespace emr, which has a sensitivity level, to pods of other namespaces",
        ),
        make("", "a provisioner makes a volume", volume("fast", "disk.example", "emr/data"), Accepted),
        make(
            "",
            "a volume by the in-tree name of its driver",
            of_source("fast", "emr/data", json!({"cinder": {"volumeID": "a"}})),
            Accepted,
        ),
        make("", "a provisioner of shares makes one", provisioned, Accepted),
        make("", "a volume for a plain claim, with a secret of its driver", secret("kube-system", "plain/data"), Accepted),
        make(
            "",
            "a plain volume is as it was written",
            volume("standard", "plain.example", "plain/data"),
            Carries(vec![("/spec/nodeAffinity", Value::Null)]),
        ),
        make(
            "",
            "a plain volume with an old annotation",
            with(volume("standard", "plain.example", ""), "/metadata/annotations", json!({OLD_CLASS: "x"})),
            Carries(vec![("/spec/nodeAffinity", Value::Null)]),
        ),
    ]
}

/// Namespaces that the text of the policies does not know yet.
fn fresh() -> Vec<Case> {
    let binding = "rempart-volume-namespace";
    let mut secret = volume("standard", "plain.example", "plain/data");
    secret["spec"]["csi"]["nodeStageSecretRef"] = json!({"name": "s", "namespace": "lapsed"});
    vec![
        make(
            binding,
            "attack B3 a namespace that the operator has not seen yet",
            volume("standard", "disk.example", "lapsed/data"),
            Refused(
                "storage class standard is not cleared for late, the sensitivity level of namespace lapsed: use one of fast, odd, quick",
            ),
        ),
        make(
            binding,
            "attack A8 a namespace whose level is empty",
            volume("fast", "disk.example", "blank/data"),
            Refused("storage class fast is not cleared for (empty), the sensitivity level of namespace blank: no class is cleared"),
        ),
        make(binding, "attack B2 the same with a secret", secret, Refused("it would show secrets of namespace lapsed")),
        make(
            "",
            "a volume that is cleared, for a namespace that the operator has not seen yet",
            volume("fast", "disk.example", "lapsed/data"),
            Accepted,
        ),
        make("", "a level in Warn", volume("standard", "plain.example", "watched/data"), Accepted),
        make("", "E6 a system namespace that was given a level before", volume("standard", "plain.example", "kube-public/data"), Accepted),
    ]
}

fn affinity() -> Vec<Case> {
    let binding = "rempart-volume";
    let fast = || volume("fast", "disk.example", "plain/data");
    let zone = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]});
    let field = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-0"]}]});
    let required = json!({"key": CLOUD, "operator": "In", "values": ["alpha"]});
    let must = "every node affinity term of a volume of class fast must require rempart.node-restriction.kubernetes.io/cloud In [alpha]";
    vec![
        make(binding, "C7 the affinity names another cloud", only_on(json!([term("In", &["beta"])]), fast()), Refused(must)),
        make(binding, "C7 it names one more", only_on(json!([term("In", &["alpha", "beta"])]), fast()), Refused(must)),
        make(
            binding,
            "C7 one term of two is looser",
            only_on(json!([term("In", &["alpha"]), term("NotIn", &["beta"])]), fast()),
            Refused(must),
        ),
        make(
            binding,
            "C7 a volume gets the affinity of its cloud, for a plain claim too",
            fast(),
            Carries(vec![("/spec/nodeAffinity/required/nodeSelectorTerms", json!([{"matchExpressions": [required]}]))]),
        ),
        make(
            binding,
            "C7 every term gets it",
            only_on(json!([zone, field, term("In", &["alpha"])]), fast()),
            Carries(vec![
                ("/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/1", required.clone()),
                ("/spec/nodeAffinity/required/nodeSelectorTerms/1/matchExpressions", json!([required])),
                ("/spec/nodeAffinity/required/nodeSelectorTerms/2/matchExpressions", json!([required])),
            ]),
        ),
        make(
            "",
            "a cloud that is cleared for nothing keeps its volumes too",
            volume("slow", "disk.example", "plain/data"),
            Carries(vec![("/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values", json!(["beta"]))]),
        ),
    ]
}

/// What happens to a volume afterwards.
fn later() -> Vec<Case> {
    let binding = "rempart-volume";
    let of = |name: &str| format!("{VOLUMES}/{name}");
    let claimed = |namespace: &str, name: &str| json!({"spec": {"claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "uid": null}}});
    let class = |class: &str| json!({"spec": {"storageClassName": class}});
    let annotated = |annotation: &str| json!({"metadata": {"annotations": {annotation: "standard"}}});
    let loose = json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term("In", &["beta"])]}}}});
    let tight = json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term("In", &["alpha"])]}}}});
    let bound = json!({"status": {"phase": "Bound"}});
    let may_not =
        "tenant may not hand it to another claim: this is for the volume binder, or needs the verb provision on trustedclouds.rempart.dev";
    vec![
        patch(
            binding,
            "C6 a volume is handed to another namespace",
            Who::Tenant,
            &of("released"),
            claimed("plain", "data"),
            Refused(may_not),
        ),
        patch(binding, "C6 a volume is freed", Who::Tenant, &of("released"), json!({"spec": {"claimRef": null}}), Refused(may_not)),
        patch(
            binding,
            "C5 the binder takes a volume of a class that is not cleared",
            Who::Binder,
            &of("available"),
            claimed("emr", "data"),
            Refused("storage class slow is not cleared for restreint, the sensitivity level of namespace emr"),
        ),
        patch(
            binding,
            "C6 the class of a volume is changed",
            Who::Tenant,
            &of("released"),
            class("standard"),
            Refused("tenant may not change its storage class from fast: this needs the verb provision"),
        ),
        patch(
            binding,
            "C6 a volume gets a class that is cleared",
            Who::Tenant,
            &of("plain"),
            class("fast"),
            Refused("every node affinity term"),
        ),
        patch(
            binding,
            "C7 the affinity of an older volume",
            Who::Tenant,
            &of("released"),
            loose.clone(),
            Refused("every node affinity term"),
        ),
        patch(
            binding,
            "C16 the annotation later, through status",
            Who::Tenant,
            &format!("{}/status", of("released")),
            annotated(OLD_CLASS),
            Refused("names another class"),
        ),
        patch("", "the binder hands a volume that is cleared", Who::Binder, &of("available-fast"), claimed("clinic", "data"), Accepted),
        patch(
            "",
            "the scheduler hands a volume that is cleared",
            Who::Scheduler,
            &of("available-fast"),
            claimed("clinic", "data"),
            Accepted,
        ),
        patch("", "a scheduler of a level hands it", Who::SanteScheduler, &of("available-fast"), claimed("clinic", "data"), Accepted),
        patch(
            "",
            "the binder, where it has no account of its own",
            Who::ControllerManager,
            &of("available-fast"),
            claimed("plain", "x"),
            Accepted,
        ),
        patch("", "who may provision frees a volume", Who::Keeper, &of("released"), json!({"spec": {"claimRef": null}}), Accepted),
        patch("", "an older volume gets its affinity", Who::Tenant, &of("released"), tight, Accepted),
        patch(
            "",
            "an older volume stays editable",
            Who::Tenant,
            &of("released"),
            json!({"metadata": {"finalizers": null}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}}),
            Accepted,
        ),
        patch("", "an older volume becomes bound", Who::Binder, &format!("{}/status", of("moved")), bound, Accepted),
        patch(
            "",
            "a class that moved to another cloud freezes nothing",
            Who::Tenant,
            &of("moved"),
            json!({"metadata": {"labels": {"note": "seen"}}, "spec": {"capacity": {"storage": "2Mi"}}}),
            Accepted,
        ),
        request("", "a volume of a class that moved is deleted", Who::Tenant, Method::DELETE, &of("moved"), Value::Null, Accepted),
        patch("", "a plain volume is handed on", Who::Tenant, &of("plain"), claimed("plain", "x"), Accepted),
        patch("", "a plain volume gets any affinity and class", Who::Tenant, &of("plain"), merged(loose, class("immediate")), Accepted),
    ]
}

/// Drivers whose disks only provisioners may name.
fn exclusive() -> Vec<Case> {
    let binding = "rempart-volume";
    let cinder = "cinder.csi.openstack.org";
    let may_not = "tenant may not make a volume of driver cinder.csi.openstack.org whose class belongs to no trusted cloud: this needs the verb provision";
    vec![
        make(binding, "attack B1 the disk of somebody as a plain volume", volume("standard", cinder, "plain/data"), Refused(may_not)),
        make(
            binding,
            "attack B1 the same by its in-tree name",
            of_source("standard", "plain/data", json!({"cinder": {"volumeID": "a"}})),
            Refused(may_not),
        ),
        by(Who::Keeper, make("", "who may provision makes one", volume("standard", cinder, "plain/data"), Accepted)),
        make("", "a volume of a class of the cloud needs no right", volume("fast", cinder, "plain/data"), Accepted),
        make("", "a driver that is not exclusive", volume("standard", "disk.example", "plain/data"), Accepted),
    ]
}
