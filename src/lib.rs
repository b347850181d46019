//! Rempart keeps workloads that handle sensitive data on nodes of clouds that are trusted for that sensitivity.
//!
//! The API server enforces: constant admission policies ([`guard`]) read one object of data, the Clearance, that the operator
//! keeps true. Rooms, from the words to the deeds; each may use the ones named after the arrow, and [`api`]:
//!
//! | room | does |
//! |---|---|
//! | [`api`] | WORDS: the kinds, label names, condition types |
//! | [`trust`] | DECIDE: clouds, qualifications over time, requirements |
//! | [`placement`] → trust | DECIDE: nodes to clouds, the Clearance, the verdict on a pod |
//! | [`guard`] → placement, trust | TRANSLATE: policies, and what fills them |
//! | [`plan`] → guard, placement, trust | DECIDE: everything to do, in order, and when to look again |
//! | [`cluster`] → plan, placement, guard, telemetry | TOUCH: watches to a snapshot, steps to writes |
//! | [`webhook`] → plan, guard, cluster, telemetry | SERVE: what mutating policies do, where the API server has none |
//! | [`operator`] → plan, placement, cluster, telemetry, webhook | RUN |
//! | [`telemetry`] → plan | logs, metrics, probes |
//! | [`cli`] → operator, plan, guard, cluster, telemetry, webhook | one small file per command |
//!
//! `trust`, `placement`, `guard` and `plan` are pure: no client, no clock, no environment, no randomness; time is an argument.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod guard;
pub mod operator;
pub mod placement;
pub mod plan;
pub mod telemetry;
pub mod trust;
pub mod webhook;
