//! Every name that Rempart gives to something in a cluster, in one place.

/// API group of our kinds.
pub const GROUP: &str = "rempart.dev";
/// Version of our kinds: the only one served and stored.
pub const VERSION: &str = "v1alpha1";

/// Label on a Namespace or a Pod: the sensitivity level of its data. Users and the operator write it.
pub const SENSITIVITY: &str = "rempart.dev/sensitivity";
/// Label on a Namespace that holds a declaration. The operator alone writes it.
pub const DECLARED: &str = "rempart.dev/declared";
/// Annotation on a Pod: the declaration that its level comes from. A policy writes it, for messages only.
pub const DECLARED_BY: &str = "rempart.dev/declared-by";
/// Prefix of the labels that say what a Node is cleared for. `NodeRestriction` keeps kubelets from setting labels
/// whose prefix ends in `node-restriction.kubernetes.io`.
pub const CLEARANCE_PREFIX: &str = "rempart.node-restriction.kubernetes.io/";
/// Label on a Node: the cloud that it belongs to.
pub const NODE_CLOUD: &str = "rempart.node-restriction.kubernetes.io/cloud";
/// Value of a clearance label and of the selector that asks for it.
pub const CLEARED: &str = "cleared";
/// Annotation on a DaemonSet: set by the operator so that the API server looks at the object again.
pub const TOUCHED: &str = "rempart.dev/touched";
/// Finalizer of a `SensitivityLevel` that is still named somewhere.
pub const LEVEL_IN_USE: &str = "rempart.dev/level-in-use";
/// Finalizer of policies and bindings: one that is deleted stays in force until another is in use in its place.
pub const GUARD: &str = "rempart.dev/guard";

/// Label of what Kubernetes objects are managed by.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label on a StorageClass that the operator writes: its cloud.
pub const CLOUD: &str = "rempart.dev/cloud";
/// Name of the ResourceQuota in each sensitive namespace that leaves no claim to classes that are not cleared.
pub const QUOTA: &str = "rempart-classes";
/// Old annotation of claims and volumes: their class. Where it is, Kubernetes goes by it and not by the field.
pub const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// Whether users may not give this name to an object of this kind, as the rules of its CRD say: it would be taken for what is ours.
pub fn is_reserved(kind: &str, name: &str) -> bool {
    match kind {
        "SensitivityLevel" => name == "cloud" || name.starts_with("rempart"),
        "TrustedCloud" => name.starts_with("rempart"),
        _ => false,
    }
}

/// Name of the one Clearance.
pub const CLEARANCE: &str = "cluster";
/// The level, cloud and namespace of the operator's own probe. Levels whose name starts with `rempart` are reserved.
pub const CANARY: &str = "rempart-canary";
/// Stands in a label selector whose list of levels would be empty: no namespace can have it.
pub const NO_LEVEL: &str = "rempart-none";

/// Field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "rempart";

/// The label of a Node, and the key of a pod's `nodeSelector`, for `level`.
pub fn clearance_label(level: &str) -> String {
    format!("{CLEARANCE_PREFIX}{level}")
}

/// The level that a clearance label is about; none for other labels and for [`NODE_CLOUD`].
pub fn level_of_label(key: &str) -> Option<&str> {
    key.strip_prefix(CLEARANCE_PREFIX).filter(|level| *level != "cloud")
}
