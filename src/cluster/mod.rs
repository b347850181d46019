//! TOUCH: the only room that talks to the API server. Watches become a snapshot; steps become writes.

mod apply;
mod connect;
mod observe;
mod probe;
mod watched;

pub use apply::{Applied, Writer};
pub use connect::{ConnectError, connect, host};
pub use observe::World;
pub use probe::{Aim, probe};
