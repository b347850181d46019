//! TOUCH: the only room that talks to the API server. Watches become a snapshot; steps become writes.

mod apiservers;
mod apply;
mod connect;
mod follow;
mod mandate;
mod observe;
mod probe;
mod served;
mod watched;

pub use apiservers::ApiServers;
pub use apply::{
    Alive, Applied, Authorities, Guarding, LeaseError, LeaseStore, Part, Refusal, RemovalError, Telling, Writer, alive, guarding,
};
pub use connect::{ConnectError, connect, host};
pub use mandate::{Mandate, Tenure};
pub use observe::World;
pub use probe::{Adding, Aim, Found, probe};
pub use served::served;
