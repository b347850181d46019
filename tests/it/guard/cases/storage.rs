//! Attachments, snapshot contents, classes, and the quotas that close some of them.

use http::Method;
use serde_json::{Value, json};

use super::*;

pub(super) fn storage() -> Vec<Case> {
    [attachments(), contents(), classes(), quotas()].into_iter().flatten().collect()
}

fn attachments() -> Vec<Case> {
    let binding = "rempart-storage";
    let attach = |binding, row, who, driver: &str, source: &Value, expected| {
        let spec = json!({"attacher": driver, "nodeName": "node-5", "source": source});
        let attachment =
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "probe"}, "spec": spec});
        request(binding, row, who, Method::POST, "/apis/storage.k8s.io/v1/volumeattachments", attachment, expected)
    };
    let (disk, cinder) = ("disk.example", "cinder.csi.openstack.org");
    let by_name = &json!({"persistentVolumeName": "released"});
    let inline =
        |driver: &str| json!({"inlineVolumeSpec": {"accessModes": ["ReadWriteOnce"], "csi": {"driver": driver, "volumeHandle": "a"}}});
    vec![
        attach(
            binding,
            "C8 a volume is attached by hand",
            Who::Tenant,
            disk,
            by_name,
            Refused(
                "tenant may not attach volumes of disk.example: the attach-detach controller does; by hand this needs the verb provision",
            ),
        ),
        attach(
            binding,
            "attack A2 a pod names a disk itself",
            Who::Attacher,
            cinder,
            &inline(cinder),
            Refused("volumes of cinder.csi.openstack.org are only attached through a claim: pods may not name a disk themselves"),
        ),
        attach("", "the controller attaches", Who::Attacher, disk, by_name, Accepted),
        attach("", "attack C6 the controller attaches, without an account of its own", Who::ControllerManager, disk, by_name, Accepted),
        attach("", "who may provision attaches", Who::Keeper, disk, by_name, Accepted),
        attach("", "a pod names a disk of a driver that is not exclusive", Who::Attacher, disk, &inline(disk), Accepted),
        attach("", "a plain driver", Who::Tenant, "plain.example", by_name, Accepted),
    ]
}

fn contents() -> Vec<Case> {
    let binding = "rempart-storage";
    let contents = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents";
    let nightly = &format!("{contents}/nightly");
    let content = |driver: &str| {
        let spec = json!({"driver": driver, "deletionPolicy": "Retain", "source": {"snapshotHandle": "a"}, "volumeSnapshotRef": {"namespace": "plain", "name": "x"}});
        json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent", "metadata": {"name": "probe"}, "spec": spec})
    };
    let cinder = "cinder.csi.openstack.org";
    let elsewhere = json!({"spec": {"volumeSnapshotRef": {"namespace": "plain"}}});
    let may_not = "tenant may not make or re-point content of driver";
    vec![
        request(
            binding,
            "attack B6 content of an exclusive driver by hand",
            Who::Tenant,
            Method::POST,
            contents,
            content(cinder),
            Refused(may_not),
        ),
        patch(binding, "C9 content is handed to another namespace", Who::Tenant, nightly, elsewhere.clone(), Refused(may_not)),
        request("", "the snapshot controller of an exclusive driver", Who::Keeper, Method::POST, contents, content(cinder), Accepted),
        request("", "content of a driver that is not exclusive", Who::Tenant, Method::POST, contents, content("disk.example"), Accepted),
        patch("", "who may provision hands it on", Who::Keeper, nightly, elsewhere, Accepted),
        patch(
            "",
            "the snapshot controller writes the uid",
            Who::Tenant,
            nightly,
            json!({"spec": {"volumeSnapshotRef": {"uid": "x"}}}),
            Accepted,
        ),
    ]
}

fn classes() -> Vec<Case> {
    let binding = "rempart-storage";
    let (classes, attributes) = ("/apis/storage.k8s.io/v1/storageclasses", "/apis/storage.k8s.io/v1/volumeattributesclasses");
    let snapshots = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses";
    let fast = &format!("{classes}/fast");
    let new = |name: &str| json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, "provisioner": "disk.example"});
    let groups = "/apis/groupsnapshot.storage.k8s.io/v1beta1/volumegroupsnapshotclasses";
    let group = json!({"apiVersion": "groupsnapshot.storage.k8s.io/v1beta1", "kind": "VolumeGroupSnapshotClass", "metadata": {"name": "snap"}, "driver": "other.example"});
    let elsewhere = json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["us-east"]}]}]});
    let default = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
    let may_not = "tenant may not make, change or delete it: this needs the verb administer on sensitivitylevels.rempart.dev";
    vec![
        request(binding, "attack B5 a class is deleted", Who::Tenant, Method::DELETE, fast, Value::Null, Refused(may_not)),
        request(binding, "attack B5 all classes are deleted", Who::Tenant, Method::DELETE, classes, Value::Null, Refused(may_not)),
        request(binding, "attack B5 a class is made under its name", Who::Tenant, Method::POST, classes, new("fast"), Refused(may_not)),
        patch(binding, "attack B5 a class is changed", Who::Tenant, fast, elsewhere.clone(), Refused(may_not)),
        patch(
            binding,
            "attack B5 a class is taken from the operator",
            Who::Tenant,
            fast,
            json!({"metadata": {"labels": {"a": "b"}}}),
            Refused(may_not),
        ),
        request(
            binding,
            "attack B5 an attributes class is deleted",
            Who::Tenant,
            Method::DELETE,
            &format!("{attributes}/gold"),
            Value::Null,
            Refused(may_not),
        ),
        patch(
            binding,
            "attack B5 a snapshot class is changed",
            Who::Tenant,
            &format!("{snapshots}/snap"),
            json!({"parameters": {"to": "elsewhere"}}),
            Refused(may_not),
        ),
        request(binding, "attack B5 a class of group snapshots under its name", Who::Tenant, Method::POST, groups, group, Refused(may_not)),
        patch("", "a class becomes the default", Who::Tenant, fast, default, Accepted),
        patch("", "an administrator changes a class", Who::Admin, fast, elsewhere, Accepted),
        request("", "the operator makes a class again", Who::Operator, Method::DELETE, fast, Value::Null, Accepted),
        request("", "a class of nobody", Who::Tenant, Method::POST, classes, new("another"), Accepted),
        request("", "a class of nobody is deleted", Who::Tenant, Method::DELETE, &format!("{classes}/standard"), Value::Null, Accepted),
    ]
}

fn quotas() -> Vec<Case> {
    let binding = "rempart-self-quota";
    let ours = "/api/v1/namespaces/emr/resourcequotas/rempart-classes";
    let status = &format!("{ours}/status");
    let wide = json!({"hard": {"standard.storageclass.storage.k8s.io/persistentvolumeclaims": "100"}});
    let (spec, hard) = (json!({"spec": wide}), json!({"status": wide}));
    let kept = "quota rempart-classes is kept by the rempart operator, not by tenant: it closes the storage classes that are not cleared";
    let unlabelled = json!({"metadata": {"labels": null}});
    vec![
        patch(binding, "E4 the quota is opened", Who::Tenant, ours, spec.clone(), Refused(kept)),
        patch(binding, "E4 the quota is taken from the operator", Who::Tenant, ours, unlabelled, Refused(kept)),
        request(binding, "E4 the quota is deleted", Who::Tenant, Method::DELETE, ours, Value::Null, Refused(kept)),
        request(
            binding,
            "E4 all quotas are deleted",
            Who::Tenant,
            Method::DELETE,
            "/api/v1/namespaces/emr/resourcequotas",
            Value::Null,
            Refused(kept),
        ),
        patch(binding, "attack B7 what claims are counted against", Who::Tenant, status, hard.clone(), Refused(kept)),
        patch(binding, "E4 by an administrator", Who::Admin, ours, spec.clone(), Refused("is kept by the rempart operator, not by")),
        patch("", "the operator writes its quota", Who::Operator, ours, spec.clone(), Accepted),
        patch("", "the controller of quotas counts", Who::QuotaController, status, hard.clone(), Accepted),
        patch("", "the API server counts", Who::ApiServer, status, hard, Accepted),
        request("", "a namespace is cleared", Who::NamespaceController, Method::DELETE, ours, Value::Null, Accepted),
        patch("", "another quota of a tenant", Who::Tenant, "/api/v1/namespaces/emr/resourcequotas/other", spec, Accepted),
    ]
}
