//! Watches of storage.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use tokio::task::JoinSet;

use super::{OURS, World};
use crate::cluster::follow::Selection;
use crate::cluster::watched::storage::{WatchedAttachment, WatchedClaim, WatchedQuota, WatchedVolume, class};

impl World {
    pub(super) fn storage(&self, client: &Client, tasks: &mut JoinSet<()>) {
        let all = Selection::default;
        self.follow(Api::<WatchedClaim>::all(client.clone()), all(), "persistentvolumeclaims", tasks, |s| &mut s.claims, Into::into);
        self.follow(Api::<WatchedVolume>::all(client.clone()), all(), "persistentvolumes", tasks, |s| &mut s.volumes, Into::into);
        self.follow(Api::<WatchedAttachment>::all(client.clone()), all(), "volumeattachments", tasks, |s| &mut s.attachments, Into::into);
        self.follow(Api::<WatchedQuota>::all(client.clone()), OURS, "resourcequotas", tasks, |s| &mut s.quotas, Into::into);

        let classes = |group: &str, kind: &str, plural: &str| {
            let gvk = GroupVersionKind::gvk(group, "v1", kind);
            Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural))
        };
        let storage = classes("storage.k8s.io", "StorageClass", "storageclasses");
        self.follow(storage, all(), "storageclasses", tasks, |s| &mut s.storage_classes, |object| class(object, "provisioner", true));
        // Not every cluster has these. Where they are not, there are none.
        let optional = Selection { optional: true, ..all() };
        let attributes = classes("storage.k8s.io", "VolumeAttributesClass", "volumeattributesclasses");
        self.follow(
            attributes,
            optional,
            "volumeattributesclasses",
            tasks,
            |s| &mut s.attributes_classes,
            |object| class(object, "driverName", false),
        );
        let snapshots = classes("snapshot.storage.k8s.io", "VolumeSnapshotClass", "volumesnapshotclasses");
        self.follow(
            snapshots,
            optional,
            "volumesnapshotclasses",
            tasks,
            |s| &mut s.snapshot_classes,
            |object| class(object, "driver", false),
        );
    }
}
